// SPDX-License-Identifier: Apache-2.0
#include "config/unseen.hpp"

#include "support/config_files.hpp"

#include <doctest/doctest.h>

using namespace things;

namespace {

std::string problems_of(const std::string& points) {
    ConfigFiles files;
    return files.problems(files.load(device_head + "    points:\n" + points));
}

} // namespace

TEST_CASE("unseen characters are found, named and shown by their number") {
    CHECK_FALSE(find_unseen("plain \t\r\n text, \u00e9\u20ac\u2103\U0001f321\ufe0f"));
    const auto unseen = find_unseen("b\u00e9\u00a0x");
    REQUIRE(unseen);
    CHECK(unseen->at == 3);
    CHECK(unseen->index == 2);
    CHECK(unseen->name() == "U+00A0 (no-break space)");
    CHECK(show_unseen("a\u200bb\u202ec") == "a<U+200B>b<U+202E>c");
    CHECK(drop_unseen("\ufeffa\u00ad\u2066b\u007f") == "ab");
}

TEST_CASE("in a name, a number or a key they are an error with their own column, and never printed") {
    CHECK(problems_of("      - {name: bo\u200biler, holding: 1}\n") ==
          "gateway.yaml:10:18: error: an unseen character here, U+200B (zero width space); delete it, or "
          "type the "
          "text anew\n");
    CHECK(problems_of("      - {name: a, holding: 1\u00a0}\n") ==
          "gateway.yaml:10:29: error: an unseen character here, U+00A0 (no-break space); delete it, or type "
          "the "
          "text anew\n");
    CHECK(problems_of("      - {name: a, hol\u00adding: 1}\n") ==
          "gateway.yaml:10:22: error: an unseen character here, U+00AD (soft hyphen); delete it, or type the "
          "text "
          "anew\n");
    CHECK(problems_of("      - {name: \"a\u202e\", holding: 1}\n") ==
          "gateway.yaml:10:16: error: name \"a<U+202E>\" (character 2 is unseen: U+202E (right-to-left "
          "override)): "
          "only letters, digits and -:./_ are allowed; write \"a\" for example\n");
    CHECK(
        problems_of("      - name:\u00a0a\n        holding: 1\n") ==
        "gateway.yaml:10:14: error: not YAML: an unseen character here, U+00A0 (no-break space); put a plain "
        "space, or nothing, in its place\n");
}

TEST_CASE("in comments and in quoted words they are nobody's business") {
    CHECK(problems_of("      - {name: a, holding: 1, labels: {0: \"12\u00a0kW\", 1: \"x\"}} # \u00a0\n") ==
          "");
}

TEST_CASE("a secret loses its byte order mark; what else is unseen in it is named, and it is not shown") {
    ConfigFiles files;
    const std::string yaml =
        "sources:\n  plc: {plugin: modbus, host: 192.0.2.20}\ndevices:\n"
        "  - {name: a, dvnuuid: 6f1c2b9e-4a57-4d0b-9c3e-2f8a1d7e5b40, secret: {file: s}, "
        "source: plc, points: [{name: t, holding: 1}]}\n";
    files.write("s", "\ufeffabcdefghijklmnopqrstuvwxyzABCD\r\n");
    const Loaded loaded = files.load(yaml);
    REQUIRE_MESSAGE(loaded.config, files.problems(loaded));
    CHECK(loaded.config->devices[0].secret.reveal() == "abcdefghijklmnopqrstuvwxyzABCD");
    files.write("s", "abcdefghij\u200bklmnopqrstuvwxyzABCD");
    CHECK(files.problems(files.load(yaml)) ==
          "gateway.yaml:4:70: error: secret: character 11 of it is unseen, "
          "U+200B (zero width space); copy it again from the Portal\n");
    files.write("s", std::string("\xff\xfe"
                                 "a\0b\0",
                                 6));
    CHECK(files.problems(files.load(yaml)) ==
          "gateway.yaml:4:77: error: the secret in s is UTF-16; save the file as UTF-8\n");
    CHECK(files.problems(files.load(device_head + "    points: [{name: t, holding: 1}]\n    only:\u00a0[]\n"))
              .find("abcdef") == std::string::npos);
}
