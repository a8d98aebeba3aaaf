// SPDX-License-Identifier: Apache-2.0
#include "config/summary.hpp"
#include "support/config_files.hpp"
#include "support/plugin_keys.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <sys/stat.h>

using namespace things;

namespace {

const std::string good = "abcdefghijklmnopqrstuvwxyzABCD";

std::string device_with(const std::string& secret) {
    return R"(sources:
  plc: {plugin: modbus, host: 192.0.2.20}
devices:
  - name: boiler
    dvnuuid: 6f1c2b9e-4a57-4d0b-9c3e-2f8a1d7e5b40
    source: plc
    points: [{name: t, holding: 1}]
    secret: )" +
           secret + "\n";
}

} // namespace

TEST_CASE(
    "a secret comes from a file, a credential, the environment or the text, white space around it dropped") {
    ConfigFiles files;
    files.write("secrets/boiler", "  " + good + "\r\n");
    files.write("credentials/boiler", good + "\n", 0440);
    files.options.credentials_directory = files.folder() / "credentials";
    files.environment["BOILER"] = good;
    for (const std::string& form :
         {std::string("{file: secrets/boiler}"), std::string("{credential: boiler}"),
          std::string("{env: BOILER}"), good, "\"" + good + "\""}) {
        CAPTURE(form);
        const Loaded loaded = files.load(device_with(form));
        REQUIRE_MESSAGE(loaded.config, files.problems(loaded));
        CHECK(loaded.config->devices[0].secret.reveal() == good);
    }
}

TEST_CASE("a secret that others can read is refused with the cure") {
    ConfigFiles files;
    for (const unsigned mode : {0604U, 0640U, 0644U, 0620U}) {
        CAPTURE(mode);
        files.write("s", good, mode);
        const Loaded loaded = files.load(device_with("{file: s}"));
        CHECK_FALSE(loaded.config);
        const std::string problems = files.problems(loaded);
        CHECK(problems.find("gateway.yaml:8:20: error: the secret in s can be read by others") == 0);
        CHECK(problems.find("run: chmod 600 s\n") != std::string::npos);
    }
    files.write("s", good, 0400);
    CHECK(files.load(device_with("{file: s}")).config);
}

TEST_CASE("what is wrong with a secret file is said in words") {
    ConfigFiles files;
    SUBCASE("a folder") {
        std::filesystem::create_directory(files.folder() / "s");
        CHECK(files.problems(files.load(device_with("{file: s}"))) ==
              "gateway.yaml:8:20: error: cannot read the secret in s: it is a directory; name a file\n");
    }
    SUBCASE("empty") {
        files.write("s", "\n\n");
        CHECK(files.problems(files.load(device_with("{file: s}"))) ==
              "gateway.yaml:8:20: error: the secret in s is empty; write the secret into it\n");
    }
    SUBCASE("something else") {
        files.write("s", std::string(10000, 'a'));
        CHECK(files.problems(files.load(device_with("{file: s}"))) ==
              "gateway.yaml:8:20: error: s is too large to hold a secret; is it the right file?\n");
    }
    SUBCASE("a fifo does not block") {
        const std::filesystem::path fifo = files.folder() / "s";
        REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
        CHECK(files.problems(files.load(device_with("{file: s}"))) ==
              "gateway.yaml:8:20: error: cannot read the secret in s: it is not a regular file\n");
    }
    SUBCASE("a credential is a name, not a path") {
        files.options.credentials_directory = files.folder();
        CHECK(files.problems(files.load(device_with("{credential: ../s}"))) ==
              "gateway.yaml:8:26: error: credential: \"../s\" is not a name of a systemd credential\n");
    }
}

TEST_CASE("beside the service, what only the service can see is warned of") {
    ConfigFiles files;
    const std::string as_service = files.problems(files.load(device_with("{credential: boiler}")));
    CHECK(as_service.find("gateway.yaml:8:26: error: credential \"boiler\": systemd handed over no "
                          "credentials") == 0);
    files.options.is_service = false;
    const Loaded credential = files.load(device_with("{credential: boiler}"));
    CHECK(credential.config);
    CHECK(files.problems(credential) ==
          "gateway.yaml:8:26: warning: credential \"boiler\": only the service can see it\n");
    CHECK(credential.config->devices[0].secret_origin == "credential boiler");
    const Loaded variable = files.load(device_with("{env: BOILER}"));
    CHECK(variable.config);
    CHECK(files.problems(variable).find("warning") != std::string::npos);
    // A file is there for everybody, or it is wrong.
    CHECK_FALSE(files.load(device_with("{file: s}")).config);
}

TEST_CASE("no message ever shows a secret") {
    ConfigFiles files;
    const std::string canary = "canary-canary-canary-canary-canary-canary";
    files.write("s", canary);
    files.environment["CANARY"] = canary;
    for (const std::string& form :
         {canary, "\"" + canary + "\"", std::string("{file: s}"), std::string("{env: CANARY}"),
          "[" + canary + "]", "{text: " + canary + "}", "{file: [" + canary + "]}",
          canary + "\n    secret: " + canary}) {
        CAPTURE(form);
        const std::string problems = files.problems(files.load(device_with(form)));
        CHECK_FALSE(problems.empty());
        CHECK(problems.find("canary") == std::string::npos);
    }
}

TEST_CASE("a secret in the wrong place is recognised and not shown") {
    ConfigFiles files;
    files.write("s", good, 0600);
    for (const std::string& form :
         {"{" + good + "}", "{" + good + ": x}", "{file: " + good + "}", "{env: " + good + "}",
          "{credential: " + good + "}", "{file: s, " + good + "}", "[" + good + "]"}) {
        CAPTURE(form);
        files.options.is_service = true;
        const Loaded loaded = files.load(device_with(form));
        CHECK_FALSE(loaded.config);
        const std::string problems = files.problems(loaded);
        CAPTURE(problems);
        CHECK(problems.find(good) == std::string::npos);
        CHECK((form.front() == '[' || problems.find("the secret itself") != std::string::npos));
    }
}

TEST_CASE("a plugin's secret may come from the environment and is marked") {
    ConfigFiles files;
    files.environment["KEY"] = "anything at all";
    const Loaded loaded = files.load("sources: {safe: {plugin: secretive, key: {env: KEY}}}\n");
    REQUIRE_MESSAGE(loaded.config, files.problems(loaded));
    const Setting& setting = loaded.config->sources[0].settings.at(0);
    CHECK(setting.secret);
    CHECK(setting.value == Scalar(std::string("anything at all")));
}

TEST_CASE("secrets as text in a file that everybody can read get a warning, once") {
    ConfigFiles files;
    const std::filesystem::path file = files.write("open.yaml", device_with(good), 0644);
    const Loaded loaded = load(file, files.options);
    CHECK(loaded.config);
    CHECK(files.problems(loaded) == "open.yaml:1:1: warning: this file holds secrets and everybody on this "
                                    "machine can read it; run: chmod o= on "
                                    "it, or move them to files of their own\n");
}

TEST_CASE("a secret that took another key's place is not shown") {
    ConfigFiles files;
    for (const char* key : {"dvnuuid: 6f1c2b9e-4a57-4d0b-9c3e-2f8a1d7e5b40", "source: plc"}) {
        std::string yaml = device_with("6f1c2b9e-4a57-4d0b-9c3e-2f8a1d7e5b40");
        const std::string name = std::string(key).substr(0, std::string(key).find(' ') + 1);
        yaml.replace(yaml.find(key), std::string(key).size(), name + good);
        const std::string problems = files.problems(files.load(yaml));
        CAPTURE(problems);
        CHECK(problems.find("(a text of 30 letters and digits)") != std::string::npos);
        CHECK(problems.find(good) == std::string::npos);
    }
}

TEST_CASE(
    "user and password of a proxy are keys of their own, or are told from its address, and never shown") {
    struct Case {
        std::string_view yaml, proxy, user, password, printed;
    };
    for (const Case& c : std::vector<Case>{
             {"proxy: http://proxy:3128, proxy_user: me, proxy_password: {file: s}", "http://proxy:3128",
              "me", "p#/@:% ", "{file: "},
             {"proxy: http://proxy:3128, proxy_user: me, proxy_password: hunter2, proxy_auth: digest",
              "http://proxy:3128", "me", "hunter2", "MASKED"},
             {"proxy: 'http://me:hunter2@proxy:3128'", "http://proxy:3128", "me", "hunter2", "MASKED"},
             {"proxy: 'me:hun%23ter%40@proxy:3128'", "proxy:3128", "me", "hun#ter@", "MASKED"},
             {"proxy: http://me@proxy", "http://proxy", "me", "", "null"},
             {"proxy: http://proxy:3128", "http://proxy:3128", "", "", "null"}}) {
        CAPTURE(c.yaml);
        ConfigFiles files;
        files.write("s", "p#/@:% x\n");
        const Loaded loaded = files.load("things: {" + std::string(c.yaml) + "}\n");
        REQUIRE(loaded.config);
        const ThingsConfig& things = loaded.config->things;
        CHECK(things.proxy == c.proxy);
        CHECK(things.proxy_user == c.user);
        CHECK(things.proxy_password.reveal().rfind(c.password, 0) == 0);
        const std::string printed = print_config(*loaded.config, find_test_plugin);
        CHECK(printed.find("proxy_password: " + std::string(c.printed)) != std::string::npos);
        CHECK(printed.find("hunter2") == std::string::npos);
    }
}

TEST_CASE("a proxy whose password cannot be told from its address is refused unseen, with the cure") {
    for (const char* proxy :
         {"http://me:hunter2#x@proxy:3128", "http://me:hunter2/x@proxy:3128", "http://me:hunter2?x@proxy",
          "http://me:hunter2@x@proxy", "http://me:hunter2 x@proxy", "http://me:hunter2%4@proxy",
          "me:hunter2\\x@proxy", "http:/me:hunter2[@proxy"}) {
        ConfigFiles files;
        const Loaded loaded = files.load("things: {proxy: '" + std::string(proxy) + "'}\n");
        CAPTURE(proxy);
        CHECK_FALSE(loaded.config);
        const std::string problems = files.problems(loaded);
        CHECK(problems.find("gateway.yaml:1:17: error: proxy: it cannot be told") == 0);
        CHECK(problems.find("proxy_password: {file: F}") != std::string::npos);
        CHECK(problems.find("hunter2") == std::string::npos);
    }
}
