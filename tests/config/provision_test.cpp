// SPDX-License-Identifier: Apache-2.0
#include "config/provision.hpp"

#include "config/names.hpp"
#include "config/secrets.hpp"
#include "support/config_files.hpp"
#include "support/skip.hpp"

#include <doctest/doctest.h>

#include <array>
#include <fstream>
#include <map>
#include <set>
#include <sys/stat.h>
#include <unistd.h>

using namespace things;

namespace {

std::string text_of(const std::filesystem::path& file) {
    std::ifstream stream(file);
    return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

} // namespace

TEST_CASE("a DvnUUID is version 4 and never the same") {
    std::set<std::string> seen;
    for (int i = 0; i < 2000; ++i) {
        const std::string uuid = make_dvnuuid(system_random);
        CHECK(is_uuid_version_4(uuid));
        seen.insert(uuid);
    }
    CHECK(seen.size() == 2000);
}

TEST_CASE("a DvnUUID holds the random bytes but version and variant") {
    unsigned char next = 0;
    const auto counting = [&next](std::span<unsigned char> bytes) {
        for (unsigned char& byte : bytes)
            byte = next++;
    };
    CHECK(make_dvnuuid(counting) == "00010203-0405-4607-8809-0a0b0c0d0e0f");
}

TEST_CASE("a secret matches the platform's pattern and every character is equally likely") {
    std::map<char, int> counts;
    constexpr int secrets = 4000;
    for (int i = 0; i < secrets; ++i) {
        const Secret secret = make_secret(system_random);
        std::string why;
        CHECK(is_device_secret(secret.reveal(), why));
        CHECK(secret.reveal().size() == 64);
        for (const char c : secret.reveal())
            ++counts[c];
    }
    CHECK(counts.size() == 62);
    // Chi squared with 61 degrees of freedom is above 131 once in a million runs; with bytes taken modulo 62
    // the first eight characters would come 25 % more often and it would be above 2000.
    const double expected = secrets * 64.0 / 62;
    double chi = 0;
    for (const auto& [character, count] : counts)
        chi += (count - expected) * (count - expected) / expected;
    CHECK(chi < 131);
}

TEST_CASE("bytes that would favour some characters are thrown away") {
    int calls = 0;
    const auto high_then_low = [&calls](std::span<unsigned char> bytes) {
        for (unsigned char& byte : bytes)
            byte = calls == 0 ? 248 : 61;
        ++calls;
    };
    CHECK(make_secret(high_then_low).reveal() == std::string(64, 'Z'));
    CHECK(calls == 2);
}

TEST_CASE("provisioned devices load as YAML and as a fleet") {
    ConfigFiles files;
    ProvisionRequest request;
    request.count = 12;
    request.prefix = "meter";
    request.directory = files.folder() / "secrets";
    request.source = "plc";
    request.profile = "one";
    request.first_unit_id = 10;
    const std::vector<Provisioned> devices = provision(request, system_random);
    REQUIRE(devices.size() == 12);
    CHECK(devices[0].name == "meter-01");
    files.write("profiles/one.yaml", "plugin: modbus\npoints: [{name: power, holding: 1}]\n");
    const std::string sources = "sources: {plc: {plugin: modbus, host: h}}\n";
    Loaded loaded;
    SUBCASE("YAML") {
        loaded = files.load(sources + provision_yaml(request, devices));
    }
    SUBCASE("CSV") {
        files.write("fleet.csv", provision_csv(request, devices));
        loaded = files.load(sources + "devices: {csv: fleet.csv}\n");
    }
    REQUIRE_MESSAGE(loaded.config, files.problems(loaded));
    CHECK(files.problems(loaded) == "");
    REQUIRE(loaded.config->devices.size() == 12);
    for (std::size_t i = 0; i < 12; ++i) {
        CHECK(loaded.config->devices[i].dvnuuid == devices[i].dvnuuid);
        CHECK(loaded.config->devices[i].secret == devices[i].secret);
        CHECK(loaded.config->devices[i].settings.at(0).value == Scalar(static_cast<std::int64_t>(10 + i)));
        struct stat status {};
        REQUIRE(::stat(devices[i].secret_file.c_str(), &status) == 0);
        CHECK((status.st_mode & 07777U) == 0600);
    }
}

TEST_CASE("rows hold no secret, the table for the Portal holds all") {
    ConfigFiles files;
    ProvisionRequest request;
    request.names = {"a", "b"};
    request.directory = files.folder() / "s";
    const std::vector<Provisioned> devices = provision(request, system_random);
    const std::string rows = provision_yaml(request, devices) + provision_csv(request, devices);
    const std::string portal = portal_csv(devices);
    for (const Provisioned& device : devices) {
        CHECK(rows.find(device.secret.reveal()) == std::string::npos);
        CHECK(portal.find(device.name + "," + device.dvnuuid + "," + device.secret.reveal() + "\n") !=
              std::string::npos);
    }
}

TEST_CASE("provisioning never overwrites, and leaves nothing half done") {
    ConfigFiles files;
    const std::filesystem::path kept = files.write("s/b", "the old secret");
    ProvisionRequest request;
    request.names = {"a", "b", "c"};
    request.directory = files.folder() / "s";
    CHECK_THROWS_WITH(provision(request, system_random),
                      ("will not overwrite " + kept.string() + ": File exists").c_str());
    CHECK(text_of(kept) == "the old secret");
    CHECK_FALSE(std::filesystem::exists(files.folder() / "s" / "a"));
    CHECK_FALSE(std::filesystem::exists(files.folder() / "s" / "c"));
}

TEST_CASE("names and numbers that make no sense are refused before anything is written") {
    ConfigFiles files;
    ProvisionRequest request;
    request.directory = files.folder() / "s";
    SUBCASE("a name that leaves the folder") {
        request.names = {"../../etc/passwd"};
    }
    SUBCASE("none") {
        request.count = 0;
    }
    SUBCASE("far too many") {
        request.count = 1'000'000'000;
    }
    CHECK_THROWS(provision(request, system_random));
    CHECK_FALSE(std::filesystem::exists(files.folder() / "s"));
}

TEST_CASE("rows name secret files from where the configuration lies") {
    ConfigFiles files;
    ProvisionRequest request;
    request.names = {"a"};
    request.beside = files.folder();
    request.directory = files.folder() / "s";
    SUBCASE("below it") {
        const std::vector<Provisioned> devices = provision(request, system_random);
        CHECK(provision_yaml(request, devices).find("secret: {file: s/a}\n") != std::string::npos);
        CHECK(provision_csv(request, devices).find(",s/a,") != std::string::npos);
    }
    SUBCASE("elsewhere") {
        request.beside = files.folder() / "etc";
        const std::vector<Provisioned> devices = provision(request, system_random);
        const std::string file = std::filesystem::canonical(files.folder() / "s" / "a").string();
        CHECK(provision_yaml(request, devices).find("secret: {file: " + file + "}\n") != std::string::npos);
    }
}

TEST_CASE("what root provisions belongs to the owner of the directory, which the service's user is") {
    if (::geteuid() != 0) {
        return test::skipped("only root can give files away");
    }
    constexpr uid_t nobody = 65534;
    ConfigFiles files;
    const std::filesystem::path directory = files.folder() / "secrets";
    std::filesystem::create_directory(directory);
    REQUIRE(::chown(directory.c_str(), nobody, nobody) == 0);
    ProvisionRequest request;
    request.names = {"a"};
    request.directory = directory;
    const Provisioned device = provision(request, system_random).at(0);
    struct stat status {};
    REQUIRE(::stat(device.secret_file.c_str(), &status) == 0);
    CHECK(status.st_uid == nobody);
    CHECK(status.st_gid == nobody);
    CHECK((status.st_mode & 07777U) == 0600);
}
