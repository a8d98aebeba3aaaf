// SPDX-License-Identifier: Apache-2.0
#include "plugin_test/conformance.hpp"
#include "support/source_fixture.hpp"

#include <doctest/doctest.h>

namespace things {

using namespace test;

namespace {

struct Outcome {
    bool passed = false;
    std::vector<Finding> findings;
    [[nodiscard]] bool failed_with(const std::string& words) const {
        for (const Finding& finding : findings)
            if (finding.grade == Finding::Grade::fail && finding.text.find(words) != std::string::npos)
                return true;
        return false;
    }
    [[nodiscard]] std::string text() const {
        std::string all;
        for (const Finding& finding : findings)
            all += finding.what + ": " + finding.text + "\n";
        return all;
    }
};

Outcome examine(const std::filesystem::path& file, const std::string& in = {}) {
    Outcome outcome;
    SourceWork work;
    if (!in.empty()) {
        work = make_work("bad", 2, Milliseconds(1000));
        work.points[1].config.writable.emplace(); // only such a point is written to
        work.config.settings.push_back(make_setting("in", in));
    }
    outcome.passed = test_plugin(file, work, quick_options(),
                                 [&outcome](const Finding& finding) { outcome.findings.push_back(finding); });
    return outcome;
}

} // namespace

TEST_CASE("the shipped plugins pass the conformance test") {
    for (const char* name : {"simulated", "sysinfo"}) {
        CAPTURE(name);
        SourceWork work = make_work(name, 2, Milliseconds(1000));
        for (SourcePoint& point : work.points)
            point.config.name = std::string(name) == "sysinfo" ? "load1" : point.config.name;
        Outcome outcome;
        outcome.passed =
            test_plugin(plugin_file(name), work, quick_options(),
                        [&outcome](const Finding& finding) { outcome.findings.push_back(finding); });
        INFO(outcome.text());
        CHECK(outcome.passed);
        CHECK(outcome.findings.size() >= 8);
    }
    const Outcome guessed = examine(plugin_file("simulated")); // nothing given: settings are made up
    INFO(guessed.text());
    CHECK(guessed.passed);
}

TEST_CASE("each fault is found and named") {
    CHECK(examine(bad_plugin_file("no_entry")).failed_with("things_plugin_entry"));
    CHECK(examine(bad_plugin_file("crashes_on_load")).failed_with("SIGABRT"));
    CHECK(examine(bad_plugin_file("wrong_major")).failed_with("version"));
    CHECK(examine(bad_plugin_file("create_fails")).failed_with("not what I wanted"));
    CHECK(examine(bad_plugin_file("throws"), "poll").failed_with("thrown on purpose"));
    CHECK(
        examine(bad_plugin_file("segfaults"), "write").failed_with(has_sanitizer ? "exit code" : "SIGSEGV"));
    CHECK(examine(bad_plugin_file("garbage"), "poll").failed_with("emitted"));
    // A sanitizer's own look for leaks at the exit is refused to a plugin, and ends with a code of its own.
    CHECK(examine(bad_plugin_file("exits"), "plan").failed_with(has_sanitizer ? "exit code" : "exit code 3"));
    CHECK(examine(bad_plugin_file("older_minor"), "none").passed);
}

TEST_CASE("a plugin that sleeps over its deadline fails") {
    CHECK(examine(bad_plugin_file("sleeps"), "write").failed_with("deadline"));
}

} // namespace things
