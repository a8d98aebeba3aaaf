// SPDX-License-Identifier: Apache-2.0
#include "model/senml.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <charconv>
#include <cmath>
#include <limits>
#include <random>

using namespace things;

namespace {

constexpr std::size_t roomy = 1 << 20;
const std::string base = "urn:dev:DVNUUID:6f1c2b9e-4a57-4d0b-9c3e-2f8a1d7e5b40:";

/// A pack of one reading.
std::string write(const Value& value, std::int64_t ms = 1'700'000'000'000, std::string_view unit = "") {
    SenmlWriter writer;
    writer.begin("b:");
    REQUIRE(writer.add(make_senml_series("n", unit).members, ms, value, roomy));
    return std::string(writer.finish());
}

std::string value_of(const Value& value) {
    const std::string text = write(value);
    const std::string head = R"([{"bn":"b:","bt":1700000000,"n":"n",)";
    REQUIRE(text.substr(0, head.size()) == head);
    return text.substr(head.size(), text.size() - head.size() - 2);
}

} // namespace

TEST_CASE("base fields stand in the first measurement and times are relative to it") {
    SenmlWriter writer;
    writer.begin(senml_base_name("6f1c2b9e-4a57-4d0b-9c3e-2f8a1d7e5b40"));
    const std::string temperature = make_senml_series("temperature", "Cel").members;
    REQUIRE(writer.add(temperature, 1'700'000'000'500, 20.5, roomy));
    REQUIRE(writer.add(make_senml_series("pump", "").members, 1'700'000'010'500, true, roomy));
    REQUIRE(writer.add(make_senml_series("mode", "").members, 1'700'000'010'750, std::string("off"), roomy));
    REQUIRE(writer.add(temperature, 1'700'000'000'000, 20.25, roomy));
    REQUIRE(writer.add(make_senml_series("a", "").members, 1'700'000'000'500, std::int64_t{-3}, roomy));
    CHECK(writer.finish() == R"([{"bn":")" + base +
                                 R"(","bt":1700000000.5,"n":"temperature","u":"Cel","v":20.5},)"
                                 R"({"n":"pump","t":10,"vb":true},{"n":"mode","t":10.25,"vs":"off"},)"
                                 R"({"n":"temperature","u":"Cel","t":-0.5,"v":20.25},{"n":"a","v":-3}])");
}

TEST_CASE("the writer is reused and repeats itself to the byte") {
    SenmlWriter writer;
    std::string first;
    for (int round = 0; round < 3; ++round) {
        writer.begin(base);
        for (int i = 0; i < 50; ++i)
            REQUIRE(writer.add(R"("n":"x")", 1'700'000'000'000 + i, i * 0.1, roomy));
        const std::string text(writer.finish());
        if (round == 0)
            first = text;
        CHECK(text == first);
        CHECK(nlohmann::json::parse(text).size() == 50);
    }
}

TEST_CASE("numbers are the shortest that read back the same") {
    CHECK(value_of(0.1) == R"("v":0.1)");
    CHECK(value_of(20.0) == R"("v":20)");
    CHECK(value_of(-0.5) == R"("v":-0.5)");
    CHECK(value_of(1e23) == R"("v":1e23)");
    CHECK(value_of(1.5e-7) == R"("v":1.5e-7)");
    CHECK(value_of(1e-300) == R"("v":1e-300)");
    CHECK(value_of(5e-324) == R"("v":5e-324)");
    CHECK(value_of(1.7976931348623157e308) == R"("v":1.7976931348623157e308)");
    CHECK(value_of(-0.00012345678901234567) == R"("v":-12345678901234567e-20)");
}

TEST_CASE("numbers with few decimals are written as the standard library would") {
    const auto expect = [](double number) {
        char text[32];
        const std::string wanted(text, std::to_chars(text, text + sizeof text, number).ptr);
        const std::string got = value_of(number).substr(4);
        if (got != wanted && wanted.find('e') == std::string::npos && wanted.size() < 19)
            FAIL_CHECK(got << " for " << wanted);
    };
    for (const double power : {10.0, 100.0, 1000.0, 10000.0})
        for (int digits = -30'000; digits <= 30'000; ++digits)
            expect(digits / power);
    std::mt19937_64 random(1);
    for (int i = 0; i < 300'000; ++i) {
        const double number = static_cast<double>(random() % 2'000'000'000) / (i % 2 == 0 ? 1000 : 100);
        expect(number);
        expect(std::nextafter(number, 1e9));
        expect(std::nextafter(-number, 0));
        expect(number * 0.1);
    }
}

TEST_CASE("integers are exact to 64 bits") {
    CHECK(value_of(std::numeric_limits<std::int64_t>::min()) == R"("v":-9223372036854775808)");
    CHECK(value_of(std::numeric_limits<std::int64_t>::max()) == R"("v":9223372036854775807)");
    CHECK(value_of(std::numeric_limits<std::uint64_t>::max()) == R"("v":18446744073709551615)");
    CHECK(value_of(std::int64_t{9'007'199'254'740'993}) == R"("v":9007199254740993)");
}

TEST_CASE("any double survives, with a mantissa below 19 characters and an exponent below 5") {
    std::mt19937_64 random(1);
    for (int i = 0; i < 200'000; ++i) {
        const std::uint64_t bits = random();
        double number = 0;
        static_assert(sizeof number == sizeof bits);
        std::memcpy(&number, &bits, sizeof number);
        if (i % 3 == 0)
            number = static_cast<double>(static_cast<std::int64_t>(bits % 2'000'000) - 1'000'000) / 1000;
        if (i % 7 == 0)
            number = -std::ldexp(static_cast<double>(bits), -40 - i % 60);
        if (!std::isfinite(number))
            continue;
        const std::string text = value_of(number).substr(4);
        const std::size_t e = text.find('e');
        CHECK_MESSAGE(std::min(e, text.size()) < 19, text);
        if (e != std::string::npos)
            CHECK_MESSAGE(text.size() - e - 1 < 5, text);
        CHECK_MESSAGE(text.find_first_not_of("0123456789.-e") == std::string::npos, text);
        CHECK_MESSAGE(nlohmann::json::parse(text).get<double>() == number, text);
    }
}

TEST_CASE("times are seconds with at most three decimals") {
    auto bt = [](std::int64_t ms) {
        const std::string text = write(true, ms);
        return text.substr(17, text.find(R"(,"n")") - 17);
    };
    CHECK(bt(1'700'000'000'001) == "1700000000.001");
    CHECK(bt(1'700'000'000'010) == "1700000000.01");
    CHECK(bt(1'700'000'000'120) == "1700000000.12");
    CHECK(bt(268'435'456'000) == "268435456");
}

TEST_CASE("text is escaped as RFC 8259 asks and is always UTF-8") {
    CHECK(value_of(std::string("a\"b\\c/d")) == R"("vs":"a\"b\\c/d")");
    CHECK(value_of(std::string("\b\t\n\v\f\r\x01\x1f\x7f", 9)) ==
          "\"vs\":\"\\b\\t\\n\\u000b\\f\\r\\u0001\\u001f\x7f\"");
    CHECK(value_of(std::string("a\0b", 3)) == R"("vs":"a\u0000b")");
    CHECK(value_of(std::string("café €😀")) == "\"vs\":\"café €😀\"");
    CHECK(value_of(std::string()) == R"("vs":"")");
    const std::string bad = "\xEF\xBF\xBD";
    CHECK(value_of(std::string("a\xff"
                               "b")) == "\"vs\":\"a" + bad + "b\"");
    CHECK(value_of(std::string("\xc0\x80")) == "\"vs\":\"" + bad + bad + "\"");
    CHECK(value_of(std::string("\xed\xa0\x80")) == "\"vs\":\"" + bad + bad + bad + "\"");
    CHECK(value_of(std::string("\xf4\x90\x80\x80")) == "\"vs\":\"" + bad + bad + bad + bad + "\"");
    CHECK(value_of(std::string("\xe2\x82")) == "\"vs\":\"" + bad + bad + "\"");
}

TEST_CASE("any bytes make valid JSON") {
    std::mt19937 random(2);
    for (int i = 0; i < 20'000; ++i) {
        std::string text(random() % 40, '\0');
        for (char& c : text)
            c = static_cast<char>(random() % 256);
        const std::string pack = write(text);
        CHECK(nlohmann::json::accept(pack));
    }
}

TEST_CASE("a pack never exceeds its limit, except by its first reading alone") {
    const std::string members = R"("n":"x")";
    for (std::size_t limit = 1; limit < 400; ++limit) {
        SenmlWriter writer;
        writer.begin(base);
        int count = 0;
        while (writer.add(members, 1'700'000'000'000 + count, std::int64_t{count}, limit))
            ++count;
        const std::string text(writer.finish());
        REQUIRE(count >= 1);
        if (count > 1)
            CHECK(text.size() <= limit);
        CHECK(nlohmann::json::parse(text).size() == static_cast<std::size_t>(count));
    }
}

TEST_CASE("what cannot be sent is refused with a reason") {
    const std::int64_t now = 1'700'000'000'000;
    CHECK(find_senml_refusal(1.5, now).empty());
    CHECK_FALSE(find_senml_refusal(std::nan(""), now).empty());
    CHECK_FALSE(find_senml_refusal(std::numeric_limits<double>::infinity(), now).empty());
    CHECK_FALSE(find_senml_refusal(true, 0).empty());
    CHECK_FALSE(find_senml_refusal(true, -5).empty());
    CHECK_FALSE(find_senml_refusal(true, senml_first_absolute_ms - 1).empty());
    CHECK(find_senml_refusal(true, senml_first_absolute_ms).empty());
    CHECK_FALSE(find_senml_refusal(true, std::numeric_limits<std::int64_t>::max()).empty());
    CHECK_FALSE(make_senml_series("", "").refusal.empty());
    CHECK_FALSE(make_senml_series("a b", "").refusal.empty());
    CHECK_FALSE(make_senml_series("a\"", "").refusal.empty());
    CHECK_FALSE(make_senml_series("a", "m s").refusal.empty());
    CHECK(make_senml_series("line1/voltage", "V").members == R"("n":"line1/voltage","u":"V")");
}

TEST_CASE("a name that the configuration takes can be sent") {
    CHECK(is_senml_name(std::string(longest_senml_name, 'a')));
    CHECK(make_senml_series(std::string(200, 'a'), "").refusal.empty());
    CHECK_FALSE(make_senml_series(std::string(201, 'a'), "").refusal.empty());
}

TEST_CASE("units are known from the registry") {
    for (const char* unit : {"Cel", "%RH", "/", "W", "kg/m3", "beat/min", "vars", "m/s2", "%", "NTU"})
        CHECK_MESSAGE(find_unit(unit) == UnitKind::primary, unit);
    for (const char* unit : {"kWh", "ppm", "hPa", "kvarh", "/100", "mV", "varh"})
        CHECK_MESSAGE(find_unit(unit) == UnitKind::secondary, unit);
    for (const char* unit : {"", "C ", "celsius", "KWH", "°C"})
        CHECK_MESSAGE(find_unit(unit) == UnitKind::unknown, unit);
}
