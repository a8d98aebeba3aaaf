// SPDX-License-Identifier: Apache-2.0
#include "support/config_files.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>

using namespace things;

namespace {

const std::string head = "sources:\n  plc: {plugin: modbus, host: 192.0.2.20}\n";

std::string device(const std::string& name, char digit) {
    return "  - {name: " + name + ", dvnuuid: 6f1c2b9e-4a57-4d0b-9c3e-2f8a1d7e5b4" + digit +
           ", secret: abcdefghijklmnopqrstuvwxyzABCD, source: plc, unit_id: " + digit +
           ", points: [{name: t, holding: 1}]}\n";
}

const std::string fleet_head = "name,dvnuuid,secret_env,source,unit_id,profile\n";

} // namespace

TEST_CASE("included files add sources, devices and profiles, in the order of their names") {
    ConfigFiles files;
    files.write("devices.d/20.yaml", "devices:\n" + device("b", '2'));
    files.write("devices.d/10.yaml", "devices:\n" + device("a", '1'));
    files.write("devices.d/30.yaml", "profiles: {p: {plugin: modbus, points: [{name: q, holding: 3}]}}\n");
    files.write("devices.d/40.txt", "garbage");
    files.write("plc.yaml", head);
    const Loaded loaded =
        files.load("include: [devices.d/*.yaml, plc.yaml, devices.d/10.yaml]\ndevices:\n" + device("c", '3') +
                   "  - {name: d, dvnuuid: 0d9c1a52-8d4f-4f0e-9a55-1b7a2f6c9e10, source: plc, profile: p, "
                   "secret: abcdefghijklmnopqrstuvwxyzABCD}\n");
    REQUIRE_MESSAGE(loaded.config, files.problems(loaded));
    CHECK(files.problems(loaded) == "");
    REQUIRE(loaded.config->devices.size() == 4);
    CHECK(loaded.config->devices[0].name == "c");
    CHECK(loaded.config->devices[1].points[0].name == "q");
    CHECK(loaded.config->devices[2].name == "a");
    CHECK(loaded.config->devices[3].name == "b");
}

TEST_CASE("an empty include folder and an empty included file are no mistakes") {
    ConfigFiles files;
    files.write("devices.d/empty.yaml", "# nothing yet\n---\n");
    CHECK(files.load("include: [devices.d/*.yaml, none.d/*.yaml]\n").config);
}

TEST_CASE("an include folder that cannot be read is an error: its devices would be gone without a word") {
    ConfigFiles files;
    std::filesystem::create_symlink("devices.d",
                                    files.folder() / "devices.d"); // whoever runs this cannot open it
    CHECK(
        files.problems(files.load("include: devices.d/*.yaml\n")) ==
        "gateway.yaml:1:10: error: include: cannot read a folder of \"devices.d/*.yaml\"; may this user open "
        "it?\n");
}

TEST_CASE("an included file cannot include, and a link to the main file is a cycle") {
    ConfigFiles files;
    files.write("more.yaml", "include: gateway.yaml\n");
    CHECK(files.problems(files.load("include: more.yaml\n")) ==
          "more.yaml:1:1: error: unknown key \"include\" in an included file; it goes in the main file\n");
    std::filesystem::create_symlink("gateway.yaml", files.folder() / "again.yaml");
    CHECK(files.problems(files.load("include: again.yaml\n")) ==
          "gateway.yaml:1:10: error: include: the file includes itself; name only other files\n");
}

TEST_CASE("paths are relative to the file that names them") {
    ConfigFiles files;
    files.write("deep/secrets/a", "abcdefghijklmnopqrstuvwxyzABCD");
    files.write("deep/fleet.csv", "name,dvnuuid,secret_file,source,unit_id,profile\n"
                                  "a,6f1c2b9e-4a57-4d0b-9c3e-2f8a1d7e5b40,secrets/a,plc,1,p\n");
    files.write("deep/more.yaml", head +
                                      "devices: {csv: fleet.csv}\n"
                                      "profiles: {p: {plugin: modbus, points: [{name: q, holding: 3}]}}\n");
    const Loaded loaded = files.load("include: deep/more.yaml\n");
    REQUIRE_MESSAGE(loaded.config, files.problems(loaded));
    CHECK(loaded.config->devices[0].secret_origin == "file " + (files.folder() / "deep/secrets/a").string());
}

TEST_CASE("a fleet with commas or semicolons, quotes, a byte order mark, empty cells and blank lines") {
    ConfigFiles files;
    files.environment["S"] = "abcdefghijklmnopqrstuvwxyzABCD";
    files.write("profiles/p.yaml", "plugin: modbus\npoints: [{name: q, holding: 3}]\n");
    std::string csv = fleet_head + "a,6f1c2b9e-4a57-4d0b-9c3e-2f8a1d7e5b41,S,plc,,p\n\n" +
                      "\"b\",6f1c2b9e-4a57-4d0b-9c3e-2f8a1d7e5b42,\"S\",plc, 0x10 ,p\r\n";
    SUBCASE("commas") {}
    SUBCASE("semicolons, as a Dutch spreadsheet writes them") {
        std::replace(csv.begin(), csv.end(), ',', ';');
    }
    SUBCASE("line ends of an old Mac") {
        csv.erase(std::remove(csv.begin(), csv.end(), '\r'), csv.end());
        std::replace(csv.begin(), csv.end(), '\n', '\r');
    }
    SUBCASE("byte order mark and no line end") {
        csv = "\xef\xbb\xbf" + csv;
        csv.pop_back();
    }
    files.write("fleet.csv", csv);
    const Loaded loaded = files.load(head + "devices:\n  - csv: fleet.csv\n" + device("c", '3'));
    REQUIRE_MESSAGE(loaded.config, files.problems(loaded));
    REQUIRE(loaded.config->devices.size() == 3);
    CHECK(loaded.config->devices[0].settings.empty());
    CHECK(loaded.config->devices[1].name == "b");
    CHECK(loaded.config->devices[1].settings.at(0).value == Scalar(std::int64_t{16}));
}

TEST_CASE("a fleet that is not UTF-8 is refused with the place of its first foreign byte") {
    ConfigFiles files;
    files.write("fleet.csv", fleet_head + "K\xfc" + "che,6f1c2b9e-4a57-4d0b-9c3e-2f8a1d7e5b41,S,plc,1,p\n");
    CHECK(files.problems(files.load(head + "devices: {csv: fleet.csv}\n"))
              .find("fleet.csv:2:2: error: not UTF-8 (byte 0xfc); save the file as UTF-8\n") == 0);
}

TEST_CASE("any plain key of a device can be a column") {
    ConfigFiles files;
    files.environment["S"] = "abcdefghijklmnopqrstuvwxyzABCD";
    files.write("profiles/p.yaml", "plugin: modbus\npoints: [{name: q, holding: 3}]\n");
    files.write("fleet.csv", "profile,name,dvnuuid,secret_env,source,interval,max_registers,even_addresses\n"
                             "p,a,6f1c2b9e-4a57-4d0b-9c3e-2f8a1d7e5b41,S,plc,5m,20,true\n");
    const Loaded loaded = files.load(head + "devices: {csv: fleet.csv}\n");
    REQUIRE_MESSAGE(loaded.config, files.problems(loaded));
    CHECK(loaded.config->devices[0].interval == minutes(5));
    CHECK(loaded.config->devices[0].settings.size() == 2);
}

TEST_CASE("thousands of warnings do not push out the error") {
    ConfigFiles files;
    std::string yaml = head +
                       "profiles: {p: {plugin: modbus, points: [{name: q, holding: 3, unit: \"%\"}]}}\n" +
                       "devices:\n";
    for (int i = 0; i < 6000; ++i)
        yaml += fmt::format("  - {{name: d{0}, dvnuuid: 6f1c2b9e-4a57-4d0b-9c3e-{0:012}, source: plc, "
                            "profile: p, secret: abcdefghijklmnopqrstuvwxyzABCD, unit_id: {1}}}\n",
                            i, i % 240 + 1);
    const std::string problems = files.problems(files.load(yaml + "  - wrong\n"));
    CHECK(problems.find("gateway.yaml:6005:5: error: a device is a mapping") != std::string::npos);
}

TEST_CASE("any garbage is an error with a place, never a crash") {
    ConfigFiles files;
    std::string input;
    SUBCASE("deep flow nesting") {
        input = "a: " + std::string(1'000'000, '[');
    }
    SUBCASE("deep block nesting") {
        for (int i = 0; i < 2000; ++i)
            input += std::string(static_cast<std::size_t>(i), ' ') + "a:\n";
    }
    SUBCASE("deep dashes") {
        for (int i = 0; i < 100'000; ++i)
            input += "- ";
    }
    SUBCASE("question marks") {
        for (int i = 0; i < 100'000; ++i)
            input += "? ";
    }
    SUBCASE("alias bomb") {
        input = "a: &a [x, x, x, x, x, x, x, x, x, x]\n";
        for (char c = 'b'; c < 'z'; ++c) {
            input += std::string(1, c) + ": &" + c + " [";
            for (int i = 0; i < 10; ++i)
                input += std::string(i == 0 ? "*" : ", *") + static_cast<char>(c - 1);
            input += "]\n";
        }
    }
    SUBCASE("a million values") {
        input = "include: [";
        for (int i = 0; i < 1'100'000; ++i)
            input += "a,";
        input += "]\n";
    }
    SUBCASE("nine megabytes") {
        input = "# " + std::string(9'000'000, 'x');
    }
    SUBCASE("one endless line") {
        input = std::string(5'000'000, 'x');
    }
    SUBCASE("one endless key") {
        input = std::string(100'000, 'k') + ": 1\n";
    }
    SUBCASE("binary") {
        for (int i = 0; i < 10'000; ++i)
            input += static_cast<char>(i * 7919 % 256);
    }
    SUBCASE("NULs") {
        input = std::string(4096, '\0');
    }
    SUBCASE("UTF-16") {
        input = std::string("\xff\xfel\0o\0g\0", 8);
    }
    SUBCASE("escape sequences for the terminal") {
        input = "\"\\e[2J\": 1\n";
    }
    const Loaded loaded = files.load(input);
    CHECK_FALSE(loaded.config);
    REQUIRE_FALSE(loaded.problems.empty());
    CHECK(loaded.problems.size() < 10'000);
    for (const Problem& problem : loaded.problems) {
        CHECK(problem.text().size() < 2000);
        CHECK(problem.text().find('\x1b') == std::string::npos);
        CHECK(problem.place.line >= 1);
    }
}

TEST_CASE("aliases count in full, also aliases of aliases, and anchors around anchors") {
    ConfigFiles files;
    std::string bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n";
    for (char c = 'b'; c < 'h'; ++c)
        bomb += std::string(1, c) + ": &" + c + " [*" + static_cast<char>(c - 1) + ", *" +
                static_cast<char>(c - 1) + ", *" + static_cast<char>(c - 1) + ", *" +
                static_cast<char>(c - 1) + ", *" + static_cast<char>(c - 1) + ", *" +
                static_cast<char>(c - 1) + ", *" + static_cast<char>(c - 1) + ", *" +
                static_cast<char>(c - 1) + "]\n";
    CHECK(files.problems(files.load(bomb)).find("aliases (*name) that multiply to more than 100000 values") !=
          std::string::npos);
    const Loaded honest = files.load("things: {timeout: &t 20s, connect_timeout: *t}\n");
    REQUIRE_MESSAGE(honest.config, files.problems(honest));
    CHECK(honest.config->things.connect_timeout == seconds(20));
}

TEST_CASE("what cannot be read is said in words") {
    ConfigFiles files;
    const std::string name = files.folder().string();
    CHECK(load(files.folder() / "none.yaml", files.options).problems.at(0).text() ==
          name + "/none.yaml:1:1: error: cannot read the file: no such file");
    CHECK(load(files.folder(), files.options).problems.at(0).text() ==
          name + ":1:1: error: cannot read the file: it is a directory; name a file");
    CHECK_FALSE(load("/dev/null", files.options).config);
    CHECK_FALSE(load("", files.options).config);
}

TEST_CASE("a thousand mistakes are a thousand lines, in order") {
    ConfigFiles files;
    std::string yaml = head + "devices:\n";
    for (int i = 0; i < 1000; ++i)
        yaml += "  - {nam: x}\n";
    const Loaded loaded = files.load(yaml);
    CHECK(loaded.problems.size() >= 1000);
    for (std::size_t i = 1; i < loaded.problems.size(); ++i)
        CHECK(loaded.problems[i - 1].place.line <= loaded.problems[i].place.line);
}

TEST_CASE("a table as Excel writes it: tabs, a line sep=;, capital headers, 1.0 for 1") {
    ConfigFiles files;
    files.environment["S"] = "abcdefghijklmnopqrstuvwxyzABCD";
    files.write("profiles/p.yaml", "plugin: modbus\npoints: [{name: q, holding: 3}]\n");
    std::string csv = "Name;DvnUUID;Secret Env;SOURCE;Unit ID;Profile\r\n"
                      "a;6f1c2b9e-4a57-4d0b-9c3e-2f8a1d7e5b41;S;plc;16.0;p\r\n";
    SUBCASE("tabs") {
        std::replace(csv.begin(), csv.end(), ';', '\t');
    }
    SUBCASE("sep=") {
        csv = "sep=;\r\n" + csv;
    }
    SUBCASE("sep= of a separator of its own, behind a byte order mark") {
        std::replace(csv.begin(), csv.end(), ';', '|');
        csv = "\xef\xbb\xbfsep=|\n" + csv;
    }
    files.write("fleet.csv", csv);
    const Loaded loaded = files.load(head + "devices: {csv: fleet.csv}\n");
    REQUIRE_MESSAGE(loaded.config, files.problems(loaded));
    CHECK(loaded.config->devices.at(0).settings.at(0).value == Scalar(std::int64_t{16}));
}

TEST_CASE("what a table has that it should not is quoted") {
    ConfigFiles files;
    const auto of = [&files](const std::string& csv) {
        files.write("fleet.csv", csv);
        return files.problems(files.load(head + "devices: {csv: fleet.csv}\n"));
    };
    CHECK(of(std::string("\xff\xfen\0a\0m\0e\0", 10)) ==
          "fleet.csv:1:1: error: the file is UTF-16, as Excel's \"Unicode Text\" and Notepad's \"Unicode\" "
          "are; save "
          "it as UTF-8\n");
    CHECK(of("Naam;Serie\nx;y\n") ==
          "fleet.csv:1:1: error: the header has no column \"name\"; the first line must be such as "
          "name,dvnuuid,secret_file,source,unit_id,profile; this one is \"Naam;Serie\"\n"
          "fleet.csv:1:1: error: the header has no column \"dvnuuid\"; the first line must be such as "
          "name,dvnuuid,secret_file,source,unit_id,profile; this one is \"Naam;Serie\"\n");
    CHECK(of(fleet_head + "a,6f1c2b9e-4a57-4d0b-9c3e-2f8a1d7e5b41,S,plc,1\u00a0,p\n")
              .find("fleet.csv:2:47: error: an unseen character here, U+00A0 (no-break space)") !=
          std::string::npos);
    CHECK(of(fleet_head + "a,6f1c2b9e-4a57-4d0b-9c3e-2f8a1d7e5b41,S,plc,1.5,p\n")
              .find("fleet.csv:2:46: error: unit_id: expected a whole number, got \"1.5\"") !=
          std::string::npos);
}

TEST_CASE("what lies in an include folder, looks like configuration and is not read is named") {
    ConfigFiles files;
    const std::string other = "devices: []\n";
    for (const char* name : {"a.yaml", "b.yml", "c.yaml.txt", "d.YAML", "site/e.yaml", "f.yaml.bak",
                             "g.yaml~", "h.txt", ".i.yaml", "site/j.yml"})
        files.write("devices.d/" + std::string(name), other);
    for (const char* name : {"x.yaml.example", "fleet.csv", ".a.yaml.swp", "notes.txt", "secrets/boiler"})
        files.write("devices.d/" + std::string(name), "nothing\n");
    const Loaded loaded = files.load("include: [devices.d/*.yaml, devices.d/site/*.yml]\n");
    CHECK(loaded.config);
    const std::string all = files.problems(loaded);
    CHECK(std::count(all.begin(), all.end(), '\n') == 9); // one of them: no devices
    for (const char* name : {".i.yaml", "b.yml", "c.yaml.txt", "d.YAML", "f.yaml.bak", "g.yaml~", "h.txt"})
        CHECK(all.find(fmt::format(
                  "gateway.yaml:1:11: warning: include: devices.d/{} is not read, because "
                  "\"devices.d/*.yaml\" does not name it; give it a name that ends in .yaml, or take "
                  "it out of the folder\n",
                  name)) != std::string::npos);
    CHECK(all.find("devices.d/site/e.yaml is not read, because \"devices.d/*.yaml\" does not name it; move "
                   "it up, or "
                   "add a pattern for its folder\n") != std::string::npos);
}

TEST_CASE("a host is a name or an address alone") {
    ConfigFiles files;
    const auto of = [&files](const std::string& host) {
        std::string all = files.problems(
            files.load("sources:\n  plc: {plugin: modbus, host: \"" + host + "\"}\ndevices: []\n"));
        const std::string mark = "error: host: ";
        const std::size_t at = all.find(mark);
        return at == std::string::npos ? "" : all.substr(at + mark.size(), all.find('\n') - at - mark.size());
    };
    for (const char* right : {"192.0.2.20", "plc", "plc-1.local", "my_plc", "2001:db8::20", "::1",
                              "fe80::1%eth0", "FE80::1%wlan0", "plc.example."})
        CHECK(of(right) == "");
    CHECK(of("fe80::1") ==
          "\"fe80::1\": a link-local address needs its interface; write \"fe80::1%eth0\" with the one "
          "it is on (`ip link` lists them)");
    CHECK(of("[2001:db8::20]:502") ==
          "\"[2001:db8::20]:502\": brackets belong in a URL; write \"2001:db8::20\" alone, "
          "and the port as tcp_port");
    CHECK(of("plc:502") == "\"plc:502\": the port has a key of its own; write host: plc, tcp_port: 502");
    CHECK(of("http://plc.local/x") == "\"http://plc.local/x\": this is a URL; write the name or address "
                                      "alone, as \"plc.local\", and the port as "
                                      "tcp_port");
    CHECK(of("192.168.1") ==
          "\"192.168.1\": it is not an IPv4 address such as 192.0.2.20: four numbers from 0 to 255, "
          "without leading zeros");
    CHECK(of("192.168.001.010") != "");
    CHECK(of("2001:db8:::1") == "\"2001:db8:::1\": it is not an IPv6 address such as 2001:db8::20");
    CHECK(of("plc 1") != "");
    CHECK(of("user@plc") != "");
}

TEST_CASE("one register under two notations, one serial port under two names") {
    ConfigFiles files;
    CHECK(files.problems(files.load(device_head + "    points:\n      - {name: a, holding: 0}\n"
                                                  "      - {name: b, entity: 40001}\n"
                                                  "      - {name: c, input: 100}\n"
                                                  "      - {name: d, entity: \"300101\"}\n"
                                                  "      - {name: e, entity: 40101}\n")) ==
          "gateway.yaml:11:9: error: point \"b\" reads the same as point \"a\" at gateway.yaml:10:9; keep "
          "one, or "
          "correct its address\n"
          "gateway.yaml:13:9: error: point \"d\" reads the same as point \"c\" at gateway.yaml:12:9; keep "
          "one, or "
          "correct its address\n");
    std::filesystem::create_symlink("/dev/null", files.folder() / "by-id");
    const std::string link = (files.folder() / "by-id").string();
    CHECK(files.problems(files.load("sources:\n  a: {plugin: modbus, port: /dev/null}\n"
                                    "  b: {plugin: modbus, port: " +
                                    link +
                                    "}\n  c: {plugin: modbus, port: /dev/none}\n"
                                    "  d: {plugin: modbus, port: /dev/../dev/none}\ndevices: []\n")) ==
          "gateway.yaml:3:29: error: port \"by-id\" is that of source \"a\" at gateway.yaml:2:3 as well; a "
          "line has "
          "one source, to which all its devices belong\n"
          "gateway.yaml:5:29: error: port \"/dev/../dev/none\" is that of source \"c\" at gateway.yaml:4:3 "
          "as well; a "
          "line has one source, to which all its devices belong\n");
}

TEST_CASE("a number of a data sheet in the place of an address is warned of, once per device") {
    ConfigFiles files;
    const Loaded loaded = files.load(device_head + "    points:\n      - {name: a, holding: 40101}\n"
                                                   "      - {name: b, holding: 40103}\n");
    CHECK(loaded.config);
    CHECK(files.problems(loaded) == "gateway.yaml:10:28: warning: holding: 40101 looks like the number of a "
                                    "data sheet, where it is register "
                                    "100; if so, write entity: 40101\n");
}

TEST_CASE("the order of words is a device's, and a point may have another") {
    ConfigFiles files;
    const Loaded loaded =
        files.load(device_head + "    order: CDAB\n    points:\n      - {name: a, input: 52, type: float32}\n"
                                 "      - {name: b, input: 54, type: float32, order: ABCD}\n");
    REQUIRE_MESSAGE(loaded.config, files.problems(loaded));
    CHECK(loaded.config->devices[0].settings.back().value == Scalar(std::string("CDAB")));
    CHECK(loaded.config->devices[0].points[1].settings.back().value == Scalar(std::string("ABCD")));
}

TEST_CASE("a comma in a number within braces") {
    ConfigFiles files;
    CHECK(files.problems(
              files.load(device_head + "    points:\n      - {name: a, holding: 1, scale: 0,1}\n")) ==
          "gateway.yaml:10:40: error: unknown key \"1\" in point; is it behind a decimal comma? Write the "
          "number with "
          "a point, as in 0.1\n");
}

TEST_CASE("for another machine: no secret is looked for, and names are meant from another folder") {
    ConfigFiles files;
    files.write("etc/profiles.yaml", "profiles: {p: {plugin: modbus, points: [{name: q, holding: 3}]}}\n");
    const std::filesystem::path upload = files.write(
        "tmp/ansible-1",
        head + "  safe: {plugin: secretive, key: {file: none}}\ninclude: profiles.yaml\ndevices:\n"
               "  - {name: a, dvnuuid: 6f1c2b9e-4a57-4d0b-9c3e-2f8a1d7e5b41, source: plc, "
               "profile: p, secret: {file: secrets/a}}\n");
    files.options.read_secrets = false;
    files.options.look_for_secrets = false;
    files.options.text_from = upload;
    const Loaded loaded = load(files.folder() / "etc/ansible-1", files.options);
    REQUIRE_MESSAGE(loaded.config, files.problems(loaded));
    CHECK(loaded.config->devices.at(0).points.size() == 1);
}

TEST_CASE(
    "a file that everybody can read and that holds a password of a proxy or a key of a plugin is warned of") {
    ConfigFiles files;
    const auto of = [&files](const std::string& yaml) {
        return files.problems(load(files.write("gateway.yaml", yaml, 0644), files.options));
    };
    const std::string warning =
        "gateway.yaml:1:1: warning: this file holds secrets and everybody on this machine can "
        "read it; run: chmod o= on it, or move them to files of their own\n";
    CHECK(of("things: {proxy: \"http://me:hunter2@proxy:3128\"}\n").find(warning) != std::string::npos);
    CHECK(of("sources: {s: {plugin: secretive, key: hunter2hunter2}}\n").find(warning) != std::string::npos);
    CHECK(of("things: {proxy: \"http://proxy:3128\"}\n").find(warning) == std::string::npos);
}
