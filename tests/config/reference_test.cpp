// SPDX-License-Identifier: Apache-2.0
#include "config/keys.hpp"
#include "config/schema.hpp"
#include "support/config_files.hpp"
#include "support/plugin_keys.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

// etc/gateway.yaml and the JSON Schema, held against the tables that validate.

using namespace things;

namespace {

const std::filesystem::path source_tree = THINGS_SOURCE;

std::string text_of(const std::filesystem::path& file) {
    std::ifstream stream(file);
    std::ostringstream text;
    text << stream.rdbuf();
    return text.str();
}

std::vector<std::string> reference_lines() {
    std::vector<std::string> lines;
    std::istringstream text(text_of(source_tree / "etc" / "gateway.yaml"));
    for (std::string line; std::getline(text, line);)
        lines.push_back(line);
    return lines;
}

std::string stripped(const std::string& line) {
    const std::size_t begin = line.find_first_not_of("#- ");
    return begin == std::string::npos ? "" : line.substr(begin);
}

// The blocks of examples that are comments, as YAML.
std::string uncommented() {
    std::string yaml;
    bool is_open = false;
    for (const std::string& line : reference_lines()) {
        const bool begins = line == "#profiles:" || line == "#sources:" || line == "#devices:";
        is_open = begins || (is_open && line.size() > 1 && line[0] == '#' && line.compare(0, 3, "#  ") == 0);
        if (is_open)
            yaml += line.substr(1) + "\n";
    }
    return yaml;
}

} // namespace

TEST_CASE("etc/gateway.yaml has every key with its meaning above it and its default") {
    const std::vector<std::string> lines = reference_lines();
    for (const SectionKeys& section : all_sections()) {
        if (section.path == "devices.secret") // in the help of `secret`
            continue;
        for (const Key& key : section.table) {
            CAPTURE(std::string(section.path));
            CAPTURE(std::string(key.name));
            bool is_there = false;
            for (std::size_t i = 0; i + 1 < lines.size() && !is_there; ++i) {
                const std::string below = stripped(lines[i + 1]);
                const std::string name = std::string(key.name) + ":";
                if (stripped(lines[i]) != key.help || below.compare(0, name.size(), name) != 0)
                    continue;
                const bool is_section = key.type == KeyType::section || key.type == KeyType::list;
                is_there =
                    key.fallback.empty() || is_section || below == name + " " + std::string(key.fallback);
            }
            CHECK(is_there);
        }
    }
}

TEST_CASE("etc/gateway.yaml loads, and what stands in it is what is taken without it") {
    ConfigFiles files;
    const Loaded reference = load(source_tree / "etc" / "gateway.yaml", files.options);
    REQUIRE_MESSAGE(reference.config, files.problems(reference));
    CHECK(reference.problems.size() == 1); // no devices yet
    const Loaded bare = files.load("log: {}\n");
    REQUIRE(bare.config);
    CHECK(reference.config->things == bare.config->things);
    CHECK(reference.config->batch == bare.config->batch);
    CHECK(reference.config->queue == bare.config->queue);
    CHECK(reference.config->time == bare.config->time);
    CHECK(reference.config->web == bare.config->web);
    CHECK(reference.config->control_socket == bare.config->control_socket);
    CHECK(reference.config->log_level == bare.config->log_level);
    CHECK(reference.config->writes == bare.config->writes);
    CHECK(reference.config->keep_removed == bare.config->keep_removed);
}

TEST_CASE("the commented examples of etc/gateway.yaml load when the marks are taken away") {
    ConfigFiles files;
    files.write("secrets/boiler", "abcdefghijklmnopqrstuvwxyzABCD\n");
    const Loaded loaded = files.load(uncommented());
    REQUIRE_MESSAGE(loaded.config, files.problems(loaded));
    CHECK(files.problems(loaded) == "");
    const PointConfig& point = loaded.config->devices.at(0).points.at(0);
    Writable expected;
    expected.min = 5;
    expected.max = 30;
    expected.max_step = 5;
    expected.revert = Revert{hours(1), Value(std::int64_t{20})};
    CHECK(point.writable == expected);
    CHECK(loaded.config->devices[0].interval == DeviceConfig{}.interval);
    CHECK(loaded.config->devices[0].commands == DeviceConfig{}.commands);
    CHECK(loaded.config->sources.at(0).writes == SourceConfig{}.writes);
    CHECK(loaded.config->sources[0].allow_overload == SourceConfig{}.allow_overload);
}

TEST_CASE("the examples in etc/devices.d load") {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(source_tree / "etc" / "devices.d")) {
        if (entry.path().extension() != ".example")
            continue;
        CAPTURE(entry.path().filename().string());
        ConfigFiles files;
        files.options.profile_directories = {source_tree / "etc" / "profiles"};
        files.options.read_secrets = false;
        files.write("devices.d/example.yaml", text_of(entry.path()));
        files.write("devices.d/fleet.csv", text_of(source_tree / "etc" / "devices.d" / "fleet.csv"));
        const Loaded loaded = files.load("include: devices.d/*.yaml\n");
        CHECK(files.problems(loaded) == "");
        ++count;
    }
    CHECK(count >= 3);
}

TEST_CASE("the file that README shows for the first devices loads") {
    const std::string readme = text_of(source_tree / "README.md");
    const std::size_t begin = readme.find("```yaml\nsources:"), end = readme.find("```", begin + 8);
    REQUIRE(end != std::string::npos);
    ConfigFiles files;
    files.options.profile_directories = {source_tree / "etc" / "profiles"};
    for (const char* name : {"boiler", "house"})
        files.write(std::string("secrets/") + name, "abcdefghijklmnopqrstuvwxyzABCD\n");
    const Loaded loaded = files.load(readme.substr(begin + 8, end - begin - 8));
    CHECK(files.problems(loaded) == "");
    REQUIRE(loaded.config);
    CHECK(loaded.config->devices.size() == 2);
    CHECK(loaded.config->devices[0].points.size() == 2);
    CHECK(loaded.config->devices[1].points.size() > 20);
}

TEST_CASE("the JSON Schema accepts what loads and refuses the wrong files") {
    std::vector<const PluginDescription*> plugins;
    for (const std::string& name : test_plugin_names())
        plugins.push_back(find_test_plugin(name));
    ConfigFiles files;
    const std::filesystem::path schema = files.write("schema.json", config_schema(plugins));
    const std::filesystem::path right = files.write("right.yaml", uncommented());
    const std::string tests = THINGS_TESTS;
    const std::string command = "python3 " + tests + "/config/check_schema.py " + schema.string() + " " +
                                tests + "/config/wrong " + source_tree.string() + "/etc/gateway.yaml " +
                                right.string();
    CAPTURE(command);
    CHECK(std::system(command.c_str()) == 0); // NOLINT(concurrency-mt-unsafe,cert-env33-c)
}
