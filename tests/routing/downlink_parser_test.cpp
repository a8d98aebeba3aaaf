// SPDX-License-Identifier: Apache-2.0
#include "routing/downlink_parser.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using things::parse_downlink;
using things::Value;

namespace {

const std::string base = "urn:dev:DVNUUID:6f1c2b9e-4a57-4d0b-9c3e-2f8a1d7e5b40:";

std::string with_base(const std::string& rest) {
    return "[{\"bn\":\"" + base + "\"}," + rest + "]";
}

} // namespace

TEST_CASE("a downlink with a base-only first record, as the platform sends it") {
    const auto parsed =
        parse_downlink(with_base(R"({"n":"pump","vb":true},{"n":"setpoint","u":"Cel","v":21.5})"), base);
    REQUIRE(parsed.downlink);
    REQUIRE(parsed.downlink->records.size() == 2);
    CHECK(parsed.downlink->records[0].name == "pump");
    CHECK(parsed.downlink->records[0].value == Value(true));
    CHECK_FALSE(parsed.downlink->records[0].time_s);
    CHECK(parsed.downlink->records[1].name == "setpoint");
    CHECK(parsed.downlink->records[1].unit == "Cel");
    CHECK(parsed.downlink->records[1].value == Value(21.5));
}

TEST_CASE("an answer that asks for nothing") {
    for (const char* body : {"", " ", "\r\n\t ", "[]", "[ ]", "[{}]",
                             R"([{"bn":"urn:dev:DVNUUID:x:","bt":1}])", "\xef\xbb\xbf", "\xef\xbb\xbf[]"}) {
        const auto parsed = parse_downlink(body, base);
        CAPTURE(body);
        CHECK_FALSE(parsed.downlink);
        CHECK(parsed.reason.empty());
    }
}

TEST_CASE("values of every kind, as a sender may write them") {
    struct Case {
        const char* record;
        Value value;
    };
    const std::vector<Case> cases{
        {R"({"n":"a","v":1})", std::int64_t{1}},
        {R"({"n":"a","v":-7})", std::int64_t{-7}},
        {R"({"n":"a","v":1.0})", 1.0},
        {R"({"n":"a","v":1.5e3})", 1500.0},
        {R"({"n":"a","v":1.5E3})", 1500.0},
        {R"({"n":"a","v":18446744073709551615})", std::uint64_t{18446744073709551615U}},
        {R"({"n":"a","vb":false})", false},
        {R"({"n":"a","vs":"on"})", std::string("on")},
        {R"({"n":"a","vs":"\u0041\n\u00e9"})", std::string("A\n\xc3\xa9")},
        {R"({"bv":20,"n":"a","v":1})", std::int64_t{21}},
        {R"({"bv":20.5,"n":"a","v":1})", 21.5},
        {R"({"bv":20,"n":"a"})", std::int64_t{20}},
        {R"({"bv":20,"n":"a","vb":true})", true},
        {R"({"bv":9223372036854775807,"n":"a","v":1})", 9223372036854775808.0},
        {R"({"n":"a","v":1,"colour":"red","x":{"y":[1,2]}})", std::int64_t{1}},
    };
    for (const auto& c : cases) {
        CAPTURE(c.record);
        const auto parsed = parse_downlink(with_base(c.record), base);
        REQUIRE_MESSAGE(parsed.downlink, parsed.reason);
        CHECK(parsed.downlink->records.at(0).value == c.value);
    }
}

TEST_CASE("data and a sum without a value ask for nothing that can be written") {
    for (const char* record :
         {R"({"n":"a","vd":"aGkgCg"})", R"({"n":"a","vd":"aGkg+/=="})", R"({"n":"a","s":3})"}) {
        const auto parsed = parse_downlink(with_base(record), base);
        CAPTURE(record);
        REQUIRE(parsed.downlink);
        CHECK_FALSE(parsed.downlink->records.at(0).value);
    }
}

TEST_CASE("names are found with and without the base name, and others are left alone") {
    const std::vector<std::pair<std::string, std::string>> cases{
        {R"([{"n":"pump","v":1}])", "pump"},
        {"[{\"n\":\"" + base + "pump\",\"v\":1}]", "pump"},
        {"[{\"bn\":\"" + base + "\",\"n\":\"pump\",\"v\":1}]", "pump"},
        {"[{\"bn\":\"" + base + "pump\",\"v\":1}]", "pump"},
        {R"([{"bn":"URN:DEV:dvnuuid:6F1C2B9E-4a57-4d0b-9c3e-2f8a1d7e5b40:","n":"pump","v":1}])", "pump"},
        {"[{\"bn\":\"" + base + "line1/\",\"n\":\"pump\",\"v\":1}]", "line1/pump"},
        {R"([{"bn":"urn:dev:DVNUUID:00000000-0000-4000-8000-000000000000:","n":"pump","v":1}])", ""},
        {R"([{"n":"urn:dev:DVNUUID:00000000-0000-4000-8000-000000000000:pump","v":1}])", ""},
        {R"([{"bn":"urn:dev:IMEI:0123456789abcdef:"},{"n":"url","vs":"http://192.0.2.1/f"}])", ""},
    };
    for (const auto& [body, name] : cases) {
        CAPTURE(body);
        const auto parsed = parse_downlink(body, base);
        CHECK(parsed.reason.empty());
        CHECK(parsed.downlink.has_value() == !name.empty());
        CHECK(parsed.foreign == (name.empty() ? 1 : 0));
        if (parsed.downlink)
            CHECK(parsed.downlink->records.at(0).name == name);
    }
}

TEST_CASE("base fields hold from their record on") {
    const auto parsed = parse_downlink(
        "[{\"n\":\"a\",\"v\":1},{\"bn\":\"" + base +
            R"(","bt":1700000000,"bu":"Cel","bver":10,"n":"b","v":2,"t":5},{"n":"c","u":"V","v":3},)" +
            R"({"bn":"urn:dev:mac:1:","n":"d","v":4},{"bn":")" + base + R"(","bt":60,"n":"e","v":5}])",
        base);
    REQUIRE(parsed.downlink);
    const auto& records = parsed.downlink->records;
    REQUIRE(records.size() == 4);
    CHECK_FALSE(records[0].time_s);
    CHECK(records[1].time_s == 1700000005.0);
    CHECK(records[1].unit == "Cel");
    CHECK(records[2].time_s == 1700000000.0);
    CHECK(records[2].unit == "V");
    CHECK(records[3].name == "e");
    CHECK(records[3].time_s == 60.0);
    CHECK(parsed.foreign == 1);
    CHECK(parsed.foreign_name == "urn:dev:mac:1:d");
}

TEST_CASE("what is no downlink is refused as a whole, with a reason") {
    const std::string deep = R"({"n":"a","v":1,"x":)" + std::string(40, '[') + std::string(40, ']') + "}";
    std::string many_labels = R"({"n":"a","v":1)";
    for (int i = 0; i < 100; ++i)
        many_labels += ",\"x" + std::to_string(i) + "\":0";
    std::string many_records = R"({"n":"a","v":1})";
    for (int i = 0; i < 100; ++i)
        many_records += R"(,{"n":"a","v":1})";
    const std::vector<std::pair<std::string, std::string>> cases{
        {"{}", "does not begin with"},
        {"<html>", "does not begin with"},
        {"null", "does not begin with"},
        {"nan", "does not begin with"},
        {"[1]", "record 1 is not an object"},
        {"[[]]", "record 1 is not an object"},
        {"[null]", "record 1 is not an object"},
        {R"([{"n":"a","v":1},7])", "record 2 is not an object"},
        {R"([{"n":"a","v":1})", "not valid JSON"},
        {R"([{"n":"a","v":1}]])", "not valid JSON"},
        {R"([{"n":"a","v":1}] x)", "not valid JSON"},
        {R"([{"n":"a","v":1},])", "not valid JSON"},
        {R"([{'n':'a','v':1}])", "not valid JSON"},
        {R"([{"n":"a","v":NaN}])", "not valid JSON"},
        {R"([{"n":"a","v":Infinity}])", "not valid JSON"},
        {R"([{"n":"a","v":-Infinity}])", "not valid JSON"},
        {R"([{"n":"a","v":01}])", "not valid JSON"},
        {R"([{"n":"a","v":+1}])", "not valid JSON"},
        {R"([{"n":"a","v":.5}])", "not valid JSON"},
        {R"([{"n":"a","v":0x10}])", "not valid JSON"},
        {R"([{"n":"a","v":1e400}])", "not valid JSON"},
        {R"([{"n":"a","v":18446744073709551616}])", "not valid JSON"},
        {R"([{"n":"a","v":-9223372036854775809}])", "not valid JSON"},
        {"[{\"n\":\"\xff\xfe\",\"v\":1}]", "not valid JSON"},
        {"[{\"n\":\"\xc0\xaf\",\"v\":1}]", "not valid JSON"},
        {"[{\"n\":\"a\nb\",\"v\":1}]", "not valid JSON"},
        {R"([{"n":"a","vs":"\ud800"}])", "not valid JSON"},
        {std::string("[{\"n\":\"a\",\"v\":1}\0]", 19), "not valid JSON"},
        {"[" + deep + "]", "not valid JSON"},
        {std::string(60000, '['), "not valid JSON"},
        {R"([{"n":"a","v":1,"v":2}])", "'v' is there twice"},
        {R"([{"n":"a","v":1,"\u0076":2}])", "'v' is there twice"},
        {R"([{"n":"a","v":1,"x":1,"x":1}])", "'x' is there twice"},
        {"[" + many_labels + "}]", "more than 64 labels"},
        {"[" + many_records + "]", "more than 100 values"},
        {R"([{"n":"a","v":1,"valve_":1}])", "'valve_' must be understood"},
        {R"([{"n":"a","v":1,"_":1}])", "'_' must be understood"},
        {R"([{"bn":"urn:dev:mac:1:","foo_":1},{"bn":"","n":"a","v":1}])", "'foo_' must be understood"},
        {R"([{"n":"a","v":"1"}])", "'v' is not a number"},
        {R"([{"n":"a","v":true}])", "'v' is not a number"},
        {R"([{"n":"a","v":null}])", "'v' is not a number"},
        {R"([{"n":"a","v":[1]}])", "'v' is not a number"},
        {R"([{"n":"a","vb":1}])", "'vb' is not true or false"},
        {R"([{"n":"a","vb":"true"}])", "'vb' is not true or false"},
        {R"([{"n":"a","vs":1}])", "'vs' is not a text"},
        {R"([{"n":"a","vd":1}])", "'vd' is not a text"},
        {R"([{"n":1,"v":1}])", "'n' is not a text"},
        {R"([{"n":"a","u":1,"v":1}])", "'u' is not a text"},
        {R"([{"n":"a","t":"now","v":1}])", "'t' is not a number"},
        {R"([{"bn":7},{"n":"a","v":1}])", "'bn' is not a text"},
        {R"([{"bt":"x"},{"n":"a","v":1}])", "'bt' is not a number"},
        {R"([{"n":"a","s":"x","v":1}])", "'s' is not a number"},
        {R"([{"n":"a"}])", "no value"},
        {R"([{"t":5}])", "no value"},
        {R"([{"n":"a","v":1,"vb":true}])", "more than one value"},
        {R"([{"n":"a","vs":"x","vd":"eA"}])", "more than one value"},
        {R"([{"v":1}])", "a value without a name"},
        {"[{\"bn\":\"" + base + "\",\"v\":1}]", "a value without a name"},
        {R"([{"bver":11},{"n":"a","v":1}])", "version 11 is not understood"},
        {R"([{"bver":42},{"n":"a","v":1}])", "version 42 is not understood"},
        {R"([{"bver":0},{"n":"a","v":1}])", "not a positive integer"},
        {R"([{"bver":-5},{"n":"a","v":1}])", "not a positive integer"},
        {R"([{"bver":9.5},{"n":"a","v":1}])", "not a positive integer"},
        {R"([{"bver":"10"},{"n":"a","v":1}])", "'bver' is not a number"},
        {R"([{"bver":10,"n":"a","v":1},{"bver":5,"n":"b","v":1}])", "not the same in all records"},
        {R"([{"bv":1e308,"n":"a","v":1.7e308}])", "too large"},
        {R"([{"bt":1.7e308,"n":"a","v":1,"t":1.7e308}])", "too large"},
        {"[{\"n\":\"" + std::string(600, 'a') + "\",\"v\":1}]", "absurdly long"},
        {"[" + std::string(things::downlink_max_bytes, ' ') + "]", "more than the 65536"},
        {std::string(10'000'000, 'x'), "more than the 65536"},
    };
    for (const auto& [body, reason] : cases) {
        const std::string shown = body.substr(0, 100);
        CAPTURE(shown);
        const auto parsed = parse_downlink(body, base);
        CHECK_FALSE(parsed.downlink);
        CHECK_MESSAGE(parsed.reason.find(reason) != std::string::npos, parsed.reason);
        CHECK(parsed.reason.size() < 300);
    }
}

TEST_CASE("versions that mean nothing worse than secondary units are taken") {
    for (const char* version : {"10", "10.0", "5", "1", "26"}) {
        CAPTURE(version);
        CHECK(parse_downlink(std::string(R"([{"bver":)") + version + R"(},{"n":"a","v":1}])", base).downlink);
    }
}

TEST_CASE("the body need not be padded, aligned or terminated") {
    const std::string body = R"([{"n":"a","v":1}])";
    for (std::size_t lead = 0; lead < 70; ++lead) {
        std::vector<char> exact(lead, ' ');
        exact.insert(exact.end(), body.begin(), body.end());
        const auto parsed = parse_downlink({exact.data(), exact.size()}, base);
        CHECK(parsed.downlink);
    }
}
