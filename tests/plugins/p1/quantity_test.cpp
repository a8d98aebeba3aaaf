// SPDX-License-Identifier: Apache-2.0
#include "p1/quantity.hpp"

#include "link/printed_text.hpp"
#include "p1/counter_guard.hpp"
#include "p1/meter_time.hpp"
#include "p1/object_line.hpp"

#include <doctest/doctest.h>

using namespace things;

namespace {

std::int64_t whole(const char* digits, const char* from, const char* to) {
    std::optional<Decimal> value = parse_decimal(digits);
    REQUIRE(value);
    std::optional<Amount> amount = convert(*value, *find_scale(from), *find_scale(to));
    REQUIRE(amount);
    REQUIRE(std::holds_alternative<std::int64_t>(*amount));
    return std::get<std::int64_t>(*amount);
}

std::optional<std::int64_t> unix_of(const char* text, MeterClockRules rules = {}) {
    std::optional<MeterTime> time = parse_meter_time(text, rules);
    REQUIRE(time);
    return time->unix_seconds;
}

} // namespace

TEST_CASE("numbers stay exact from the digits to the unit that is asked for") {
    CHECK(whole("123456.789", "kWh", "Wh") == 123456789);
    CHECK(whole("123456.789", "kWh", "J") == 444444440400);
    CHECK(whole("999999.999", "kWh", "J") == 3599999996400);
    CHECK(whole("0112.67", "GJ", "J") == 112670000000);
    CHECK(whole("00.405", "kW", "W") == 405);
    CHECK(whole("3661.000", "s", "s") == 3661);
    CHECK(whole("1.5", "h", "min") == 90);
}

TEST_CASE("numbers that are not whole are the nearest double") {
    std::optional<Amount> joule =
        convert(*parse_decimal("01219311.383"), *find_scale("Wh"), *find_scale("J"));
    CHECK(std::get<double>(*joule) == 4389520978.8);
    CHECK(to_double(to_amount(*parse_decimal("231.4"))) == 231.4);
    CHECK(to_double(*convert(*parse_decimal("1.000"), *find_scale("GJ"), *find_scale("kWh"))) ==
          doctest::Approx(277.7777777));
    CHECK(to_double(*convert(*parse_decimal("1.193"), *find_scale("W"), *find_scale("kW"))) == 0.001193);
}

TEST_CASE("what is no number is none") {
    for (const char* bad :
         {"", "-", ".", "1.", ".5", "1.2.3", "12a", "1e5", "0x10", " 1", "1234567890123456789012"})
        CHECK_FALSE(parse_decimal(bad));
    CHECK(parse_decimal("-063")->mantissa == -63);
    CHECK(parse_decimal("3,14")->exponent == -2);
}

TEST_CASE("units are compared without case and blanks, and only within their dimension") {
    CHECK(find_scale("kWh ")->primary == "J");
    CHECK(find_scale("KVArh")->spelling == "kvarh");
    CHECK(find_scale("Kvar")->spelling == "kvar");
    CHECK(find_scale("apples") == nullptr);
    CHECK_FALSE(convert({1, 0}, *find_scale("kWh"), *find_scale("W")));
}

TEST_CASE("the mark of a time is its offset") {
    CHECK(unix_of("251026025959S") == 1761440399); // one second later
    CHECK(unix_of("251026020000W") == 1761440400); // the same hour again
    CHECK(unix_of("260815235959W") == 1786834799); // normal time in August, as Sweden prints it
    CHECK(unix_of("260621131245S") == 1782040365);
    MeterClockRules east;
    east.standard_offset_minutes = 120;
    CHECK(unix_of("260621131245S", east) == 1782040365 - 3600);
}

TEST_CASE("a time without a mark is local time of the meter's zone") {
    CHECK(unix_of("260423090000") == 1776927600);
    CHECK(unix_of("260208140000") == 1770555600);
    CHECK(unix_of("26-01-14 08:00:00") == 1768374000);
    CHECK(unix_of("251026023000") == 1761442200); // the doubled hour: the second one
}

TEST_CASE("times that were never set are not valid") {
    for (const char* bad :
         {"632525252525S", "632525252525W", "700101010000W", "000101010000W", "000101000001W",
          "250000000000W", "681027002758S", "260231120000W", "260101246000W", "260101120000T"})
        CHECK_FALSE(unix_of(bad));
    for (const char* other : {"", "12345", "(ER11)", "2601011200000", "26010112000W"})
        CHECK_FALSE(parse_meter_time(other, {}));
    MeterClockRules rules;
    rules.now = 1782040365;
    CHECK(unix_of("260622131245S", rules));
    CHECK_FALSE(unix_of("260622131246S", rules)); // more than a day ahead
}

TEST_CASE("codes come in one spelling") {
    CHECK(parse_obis("1-0:1.8.0*255")->text == "1-0:1.8.0");
    CHECK(parse_obis("1-0:31.7.0.255")->text == "1-0:31.7.0");
    CHECK(parse_obis("1-0:72:32.0")->text == "1-0:72.32.0");
    CHECK(parse_obis("1-0:99:97.0")->text == "1-0:99.97.0");
    CHECK(parse_obis("1.8.0")->text == "1-0:1.8.0");
    CHECK(parse_obis("0:96.7.19")->text == "0-0:96.7.19");
    CHECK(parse_obis("F.F")->text == "1-0:F.F");
    CHECK(parse_obis("1-0:1.8.0*01")->is_billing);
    CHECK(parse_obis("1.8.0&02")->is_billing);
    for (const char* bad : {"", "1", "1-0:", "1-0:1", "a b", "1-0:1.8.0.255.1", "1-0:1..8", "-0:1.8",
                            "1-0:1.8.0*", "1-0:1234.8.0", ":1.8.0"})
        CHECK_FALSE(parse_obis(bad));
}

TEST_CASE("fields keep what stands in their parentheses") {
    CHECK(parse_object_line("1-0:0.2.0((ER11))")->fields == std::vector<std::string_view>{"(ER11)"});
    CHECK(parse_object_line("0-0:96.13.0(a (b) c)(d)")->fields ==
          std::vector<std::string_view>{"a (b) c", "d"});
    CHECK(parse_object_line("0-0:96.13.0()")->fields == std::vector<std::string_view>{""});
    for (const char* bad : {"1-0:1.8.0", "1-0:1.8.0(", "1-0:1.8.0(1", "1-0:1.8.0(1)x", "(1)", "x(1)"})
        CHECK_FALSE(parse_object_line(bad));
}

TEST_CASE("texts are decoded where they are hexadecimal") {
    CHECK(decode_text("53594E48", true) == "SYNH");
    CHECK(decode_text("8100000000000022", true) == "8100000000000022");
    CHECK(decode_text("22000117         ", true) == "22000117");
    CHECK(decode_text("storing 12/10 - opgelost", false) == "storing 12/10 - opgelost");
    CHECK(decode_text("436166E9", false) == "Caf\xc3\xa9");   // Latin-1
    CHECK(decode_text("436166C3A9", false) == "Caf\xc3\xa9"); // UTF-8
    CHECK(decode_text("410A42", false) == "A B");
    CHECK(to_utf8("\xed\xa0\x80") == "\xc3\xad\xc2\xa0\xc2\x80"); // a surrogate is no UTF-8
}

TEST_CASE("a counter that falls or leaps is believed when the next telegram says so too") {
    CounterGuard guard(1e6, 3.6e6);
    CHECK(guard.accept(1e9, 1000));
    CHECK(guard.accept(1e9 + 3600, 2000));
    CHECK_FALSE(guard.accept(9e9, 3000));       // a bit flipped
    CHECK(guard.accept(1e9 + 7200, 4000));      // it was one telegram
    CHECK_FALSE(guard.accept(5e5, 5000));       // a new meter
    CHECK(guard.accept(5e5 + 100, 6000));       // it was
    CHECK(guard.accept(3.5e12, 3'600'000'000)); // after a thousand hours much is possible
}
