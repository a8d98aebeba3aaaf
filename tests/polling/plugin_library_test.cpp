// SPDX-License-Identifier: Apache-2.0
#include "polling/plugin_directory.hpp"
#include "polling/source.hpp"
#include "support/source_fixture.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>

#include <sys/stat.h>

namespace things {

using namespace test;
namespace fs = std::filesystem;

namespace {

std::string load_error(const std::string& plugin) {
    try {
        (void)PluginLibrary::load(bad_plugin_file(plugin), true);
        return "it was loaded";
    } catch (const std::exception& error) {
        return error.what();
    }
}

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

class Folder {
public:
    Folder() {
        std::string path = (fs::temp_directory_path() / "things-XXXXXX").string();
        REQUIRE(mkdtemp(path.data()) != nullptr);
        path_ = path;
    }
    ~Folder() { fs::remove_all(path_); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    [[nodiscard]] const fs::path& path() const { return path_; }

private:
    fs::path path_;
};

} // namespace

TEST_CASE("a plugin is described by its table") {
    const auto library = PluginLibrary::load(plugin_file("simulated"), true);
    const PluginDescription& plugin = library->description();
    CHECK(plugin.name == "simulated");
    CHECK(plugin.shipped);
    CHECK(plugin.polls);
    CHECK(plugin.writes);
    CHECK_FALSE(plugin.listens);
    REQUIRE(plugin.keys.size() >= 5);
    CHECK(plugin.keys[0].name == "seed");
    CHECK(plugin.keys[0].level == Level::source);
    CHECK(plugin.keys[2].choices.size() == 6);
}

TEST_CASE("what is no plugin of ours is refused with the reason, before anything of it is called") {
    CHECK(contains(load_error("no_entry"), "things_plugin_entry"));
    CHECK(contains(load_error("wrong_major"), "version 2"));
    CHECK(contains(load_error("null_table"), "no table"));
    CHECK(contains(load_error("short_table"), "bytes long"));
    CHECK(contains(load_error("wrong_name"), "modbus.so"));
    CHECK(contains(load_error("missing_symbol"), "function_of_a_library"));
    CHECK(contains(load_error("not_there"), "not_there.so"));
}

TEST_CASE("a file that is no shared object is refused") {
    const Folder folder;
    for (const std::string& content :
         {std::string(), std::string("#!/bin/sh\n"), std::string(5000, '\x7f')}) {
        std::ofstream(folder.path() / "x.so") << content;
        CHECK_THROWS(PluginLibrary::load(folder.path() / "x.so", true));
    }
}

TEST_CASE("a plugin of an older minor version works") {
    const auto library = PluginLibrary::load(bad_plugin_file("older_minor"), true);
    CHECK(library->description().polls);
    CHECK(library->description().writes);
    CHECK_FALSE(library->description().discovers); // lies beyond the end of its table
    CHECK_FALSE(library->description().plans);
    CHECK(library->description().keys.at(0).help.empty());
    const SystemClock clock;
    Ear ear;
    auto source = make_source(make_work("older_minor", 3, Milliseconds(20)), library, clock, ear);
    source->start();
    CHECK(ear.wait([&] { return ear.of(2).size() >= 5; }));
}

TEST_CASE("a plugin that everybody may overwrite is refused") {
    const Folder folder;
    const fs::path file = folder.path() / "simulated.so";
    fs::copy_file(plugin_file("simulated"), file);
    chmod(file.c_str(), 0755);
    CHECK_NOTHROW((void)PluginLibrary::load(file, true));
    chmod(file.c_str(), 0777);
    CHECK_THROWS_WITH((void)PluginLibrary::load(file, true), doctest::Contains("chmod o-w"));
    chmod(file.c_str(), 0755);
    chmod(folder.path().c_str(), 0777);
    CHECK_THROWS_WITH((void)PluginLibrary::load(file, true), doctest::Contains("chmod o-w"));
    chmod(folder.path().c_str(), 0700);
}

TEST_CASE("one bad file hides no good one, and a plugin that is not shipped is only asked") {
    const Folder folder;
    fs::copy_file(plugin_file("simulated"), folder.path() / "simulated.so");
    fs::copy_file(bad_plugin_file("crashes_on_load"), folder.path() / "crashes_on_load.so");
    fs::copy_file(bad_plugin_file("wrong_major"), folder.path() / "wrong_major.so");
    std::ofstream(folder.path() / "notes.txt") << "not looked at";
    PluginDirectory directory({"/does/not/exist", folder.path()}, "/does/not/exist", quick_options());
    CHECK(directory.names() == std::vector<std::string>{"crashes_on_load", "simulated", "wrong_major"});
    const auto found = directory.find_all();
    REQUIRE(found.size() == 1);
    CHECK(directory.find("simulated") == found[0]);
    CHECK_FALSE(found[0]->is_loaded());
    CHECK_FALSE(found[0]->description().shipped);
    CHECK(found[0]->description().keys.size() >= 5);
    REQUIRE(directory.problems().size() == 2);
    CHECK(contains(directory.problems()[0], "crashes_on_load"));
    CHECK(contains(directory.problems()[0], "SIGABRT"));
    CHECK(contains(directory.problems()[1], "version 2"));

    const SystemClock clock;
    Ear ear;
    auto source =
        make_source(make_work("simulated", 1, Milliseconds(20)), found[0], clock, ear, quick_options());
    source->start();
    CHECK(ear.wait([&] { return ear.of(0).size() >= 3; }));
}

TEST_CASE("a plugin is only touched when it is asked for, and once") {
    const Folder folder;
    fs::copy_file(plugin_file("simulated"), folder.path() / "simulated.so");
    fs::copy_file(bad_plugin_file("wrong_major"), folder.path() / "wrong_major.so");
    PluginDirectory directory({folder.path()}, folder.path(), quick_options());
    CHECK(directory.find("simulated")->is_loaded());
    CHECK(directory.problems().empty()); // of the other nothing is known yet
    CHECK(directory.find("wrong_major") == nullptr);
    CHECK(directory.find("wrong_major") == nullptr);
    CHECK(directory.problems().size() == 1);
    CHECK(directory.find("nowhere") == nullptr);
    CHECK(directory.problems().size() == 1);
}

TEST_CASE("of two plugins of one name the first that can be loaded counts") {
    const Folder first, second;
    std::ofstream(first.path() / "simulated.so") << "no shared object";
    fs::copy_file(plugin_file("simulated"), second.path() / "simulated.so");
    PluginDirectory directory({first.path(), second.path()}, second.path(), quick_options());
    CHECK(directory.names() == std::vector<std::string>{"simulated"});
    CHECK(directory.find("simulated")->file() == second.path() / "simulated.so");
    REQUIRE(directory.problems().size() == 1);
    CHECK(contains(directory.problems()[0], first.path().string()));
}

TEST_CASE("what only the plugin can know is checked without touching a device, here and in a process") {
    for (const Isolation isolation : {Isolation::none, Isolation::process}) {
        SourceWork work = make_work("simulated", 2, Milliseconds(1000));
        work.config.isolation = isolation;
        const auto library = PluginLibrary::load(plugin_file("simulated"), true);
        Validation validation = validate(work, *library, quick_options());
        CHECK(validation.problems.empty());
        REQUIRE(validation.plan.size() == 1);
        CHECK(contains(validation.plan[0], "cycle_ms"));
        work.points[1].config.settings = {make_setting("min", 5.0), make_setting("max", 1.0)};
        validation = validate(work, *library, quick_options());
        REQUIRE(validation.problems.size() == 1);
        CHECK(validation.problems[0].level == Level::point);
        CHECK(validation.problems[0].index == 1);
        CHECK(validation.problems[0].key == "min");
    }
}

} // namespace things
