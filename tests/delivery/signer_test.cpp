// SPDX-License-Identifier: Apache-2.0
#include "delivery/signer.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <fstream>

TEST_CASE("tokens equal the published and computed vectors") {
    std::ifstream file(TEST_DATA "/tokens.json");
    const auto document = nlohmann::json::parse(file);
    things::Signer signer;
    int count = 0;
    for (const auto& vector : document.at("vectors")) {
        const std::string body = vector.at("body");
        CHECK(body.size() == vector.at("bytes"));
        const std::string token = vector.at("token");
        const bool is_equal = signer.sign(body, things::Secret(vector.at("secret"))) == token;
        CHECK_MESSAGE(is_equal, vector.at("id").get<std::string>());
        ++count;
    }
    CHECK(count >= 11);
}

TEST_CASE("the secret comes after the body") {
    things::Signer signer;
    const std::string wrong_order = "0aa8f442ccdfd5f002c2212d55263d859d197dcfdd45b3c2869dd60d7b89c685";
    const std::string body =
        R"([{"bn":"urn:dev:DVNUUID:6f1c2b9e-4a57-4d0b-9c3e-2f8a1d7e5b40:","bt":1700000000},)"
        R"({"n":"temperature","u":"Cel","v":20.5}])";
    CHECK(signer.sign("abcdefghijklmnopqrstuvwxyzABCD", things::Secret(body)) == wrong_order);
    CHECK(signer.sign(body, things::Secret("abcdefghijklmnopqrstuvwxyzABCD")) != wrong_order);
}
