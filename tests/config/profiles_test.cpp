// SPDX-License-Identifier: Apache-2.0
#include "config/profiles.hpp"

#include "support/config_files.hpp"

#include <doctest/doctest.h>

using namespace things;

namespace {

const std::filesystem::path shipped = std::filesystem::path(THINGS_SOURCE) / "etc" / "profiles";

} // namespace

TEST_CASE("profiles are listed by name, the first folder wins, a broken file hides no good one") {
    ConfigFiles files;
    files.write("mine/b.yaml", "plugin: modbus\nproduct: My meter\npoints: [{name: x}]\n");
    files.write("mine/a.yaml", "plugin: [\n");
    files.write("shipped/b.yaml", "plugin: modbus\nproduct: Another\npoints: []\n");
    files.write("shipped/c.yaml",
                "plugin: p1\nproduct: \"C \\\"quoted\\\"\"\npoints: [{name: x}, {name: y}]\n");
    std::vector<Problem> problems;
    const std::vector<ProfileInfo> list = list_profiles(
        {files.folder() / "mine", files.folder() / "shipped", files.folder() / "nowhere"}, problems);
    REQUIRE(list.size() == 2);
    CHECK(profile_list_text(list) == "b    1 points    My meter\nc    2 points    C \"quoted\"\n");
    CHECK(profile_list_json(list).find(R"("name":"c","plugin":"p1","product":"C \"quoted\"")") !=
          std::string::npos);
    REQUIRE(problems.size() == 1);
    CHECK(problems[0].place.file == (files.folder() / "mine" / "a.yaml").string());
}

TEST_CASE("a profile is shown with its link settings, quirks and points") {
    std::string hint;
    const std::string page = show_profile({shipped}, "eastron-sdm120", hint);
    CHECK(page.find("eastron-sdm120: Eastron SDM120-Modbus single-phase energy meter\n") == 0);
    CHECK(page.find("  serial: {baud: 2400, data_bits: 8, parity: none, stop_bits: 1, unit_id: 1, confirmed: "
                    "maker}\n") != std::string::npos);
    CHECK(page.find("  max_registers: 80\n") != std::string::npos);
    CHECK(page.find("  - The maker asks for 60 ms of quiet between requests.\n") != std::string::npos);
    CHECK(page.find("  energyImport                 Wh      input: 72  type: float32  scale: 1000\n") !=
          std::string::npos);
}

TEST_CASE("a profile that is not there is not shown, but the nearest name is told") {
    std::string hint;
    CHECK(show_profile({shipped}, "eastron-sdm121", hint).empty());
    CHECK(hint.find("eastron-sdm12") == 0);
    CHECK(show_profile({shipped}, "../../gateway", hint).empty());
}

TEST_CASE("profiles are found by any word of name, maker, product, category and models") {
    ConfigFiles files;
    files.write("p/sun.yaml", "plugin: modbus\nmaker: Helio\nproduct: Roof inverter\ncategory: inverter\n"
                              "models: [R-100, R-200]\npoints: []\n");
    files.write("p/house.yaml", "plugin: modbus\nmaker: Helio\nproduct: Helio meter\ncategory: energy meter\n"
                                "points: []\n");
    std::vector<Problem> problems;
    const auto found = [&](std::vector<std::string> words) {
        return profile_list_text(find_profiles(list_profiles({files.folder() / "p"}, problems), words));
    };
    const std::string house = "house    0 points  energy meter  Helio meter\n";
    CHECK(found({"r-200"}) == "sun    0 points  inverter  Roof inverter (Helio)\n");
    CHECK(found({"HELIO", "meter"}) == house);
    CHECK(found({"helio"}) == house + "sun      0 points  inverter      Roof inverter (Helio)\n");
    CHECK(found({"helio", "boiler"}).empty());
}

TEST_CASE("a point is shown with the comment behind it") {
    ConfigFiles files;
    files.write("p/m.yaml", "plugin: modbus\npoints:\n"
                            "  - {name: power, holding: 1, scale: -1} # turned: positive is import\n"
                            "  - {name: a, labels: {1: \"no # note\"}}\n");
    std::string hint;
    const std::string page = show_profile({files.folder() / "p"}, "m", hint);
    CHECK(page.find("scale: -1  # turned: positive is import\n") != std::string::npos);
    CHECK(page.find("no # note\"}\n") != std::string::npos);
}
