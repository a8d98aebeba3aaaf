// SPDX-License-Identifier: Apache-2.0
#include "control/request.hpp"
#include "control/response.hpp"

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <utility>
#include <vector>

using things::parse_request;
using things::parse_response;

TEST_CASE("a request is a verb and its arguments") {
    const auto parsed = parse_request(
        "read", R"({"device":"boiler","points":["a","b"],"unit":3,"all":true,"part":0.5,"empty":[]})");
    REQUIRE_MESSAGE(parsed.request, parsed.reason);
    const auto& request = *parsed.request;
    CHECK(request.verb == "read");
    CHECK(request.text("device") == "boiler");
    CHECK(request.list("points") == std::vector<std::string>{"a", "b"});
    CHECK(request.text("unit") == "3");
    CHECK(request.is_set("all"));
    CHECK(request.text("part") == "0.5");
    CHECK(request.text("empty", "none") == "none");
    CHECK(request.text("absent", "none") == "none");
    CHECK(request.list("absent").empty());
    CHECK_FALSE(request.is_set("device"));
    CHECK(parse_request("status", "").request);
    CHECK(things::verb_of("/v1/queue/show") == "queue show");
    CHECK(things::path_of("queue show") == "/v1/queue/show");
    CHECK(things::verb_of("/v2/read").empty());
}

TEST_CASE("anything else is refused with a reason") {
    std::string many = R"({"b":"read")";
    for (int i = 0; i < 40; ++i)
        many += ",\"a" + std::to_string(i) + "\":1";
    std::string long_list = R"({"a":[0)";
    for (int i = 0; i < 1000; ++i)
        long_list += ",0";
    const std::vector<std::pair<std::string, std::string>> cases{
        {"read boiler", "not valid JSON"},
        {"{", "not valid JSON"},
        {"\xff", "not valid JSON"},
        {R"({"a":1}{"a":1})", "not valid JSON"},
        {std::string(60'000, '['), "not valid JSON"},
        {std::string(70'000, ' '), "more than 65536 bytes"},
        {"[]", "not a JSON object"},
        {"7", "not a JSON object"},
        {R"({"a":"read","a":"write"})", "'a' is there twice"},
        {R"({"a":null})", "'a' is neither"},
        {R"({"a":{}})", "'a' is neither"},
        {R"({"a":[[]]})", "'a' is neither"},
        {many + "}", "too many"},
        {long_list + "]}", "'a' is neither"},
        {"{\"" + std::string(100, 'a') + "\":1}", "too many or too long"},
    };
    for (const auto& [line, reason] : cases) {
        const auto shown = line.substr(0, 80);
        CAPTURE(shown);
        const auto parsed = parse_request("read", line);
        CHECK_FALSE(parsed.request);
        CHECK_MESSAGE(parsed.reason.find(reason) != std::string::npos, parsed.reason);
    }
    for (const char* verb : {"", "Read", "../etc", "a verb that is longer than forty letters are, by far"})
        CHECK(parse_request(verb, "{}").reason == "there is no verb");
}

TEST_CASE("10,000 damaged bodies are requests or refused") {
    std::mt19937 random(3);
    const std::string good = R"({"device":"boiler","point":"pump","value":"on","n":[1,2.5,true]})";
    int taken = 0, refused = 0;
    for (int i = 0; i < 10'000; ++i) {
        auto line = good;
        for (auto n = 1 + random() % 3; n > 0; --n)
            line[random() % line.size()] = static_cast<char>(random() % 256);
        const auto parsed = parse_request("write", line);
        CHECK(parsed.request.has_value() == parsed.reason.empty());
        parsed.request ? ++taken : ++refused;
    }
    CHECK(taken > 300);
    CHECK(refused > 1000);
}

TEST_CASE("a response is progress, a result or an error") {
    auto response = parse_response(R"({"progress": {"part":0.5}})");
    REQUIRE(response);
    CHECK_FALSE(response->is_done);
    CHECK(response->json == R"({"part":0.5})");
    response = parse_response(R"({"done":true,"ok":true,"result":{"a":[1,"x\n"]}})");
    REQUIRE(response);
    CHECK(response->is_ok);
    CHECK(response->json == R"({"a":[1,"x\n"]})");
    response = parse_response(R"({"done":true,"ok":false,"exit":69,"error":"no answer"})");
    REQUIRE(response);
    CHECK_FALSE(response->is_ok);
    CHECK(response->exit_code == 69);
    CHECK(response->error == "no answer");
    for (const char* line : {"", "x", "[]", "{}", R"({"done":false,"ok":true})", R"({"done":true})"}) {
        CAPTURE(line);
        CHECK_FALSE(parse_response(line));
    }
}
