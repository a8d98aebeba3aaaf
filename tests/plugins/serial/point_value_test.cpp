// SPDX-License-Identifier: Apache-2.0
#include "serial/point_value.hpp"

#include <doctest/doctest.h>

using namespace things;

namespace {

PointRules matching(const char* expression) {
    PointRules rules;
    std::string why;
    rules.match = Pattern::parse(expression, why);
    REQUIRE_MESSAGE(rules.match, why);
    return rules;
}

PointRules column(std::size_t index) {
    PointRules rules;
    rules.column = index;
    return rules;
}

PointRules bytes_at(std::size_t place, ValueType type, ByteOrder order = ByteOrder::abcd) {
    PointRules rules;
    rules.byte = place;
    rules.type = type;
    rules.order = order;
    return rules;
}

Extracted look(std::string_view text, const PointRules& rules) {
    JsonReader json;
    return extract({std::string(text), text.size()}, rules, json);
}

double value(std::string_view text, const PointRules& rules) {
    Extracted extracted = look(text, rules);
    CAPTURE(text);
    REQUIRE(extracted.outcome == Extracted::Outcome::value);
    if (const auto* whole = std::get_if<std::int64_t>(&extracted.value))
        return static_cast<double>(*whole);
    if (const auto* natural = std::get_if<std::uint64_t>(&extracted.value))
        return static_cast<double>(*natural);
    REQUIRE(std::holds_alternative<double>(extracted.value));
    return std::get<double>(extracted.value);
}

void guard(PointRules& rules, const char* expression) {
    std::string why;
    rules.guard = Pattern::parse(expression, why);
    REQUIRE(rules.guard);
}

} // namespace

TEST_CASE("scales: stable weights are values, moving and overloaded ones are not") {
    PointRules rules = matching(R"(^(?:ST|US|OL),(?:GS|NT),([+-]? *[\d.]+) ?(?:kg)$)");
    guard(rules, "^ST");
    CHECK(value("ST,GS,+  12.34kg", rules) == 12.34);
    CHECK(value("ST,NT,-   0.50kg", rules) == -0.5);
    CHECK(look("US,GS,+  12.34kg", rules).outcome == Extracted::Outcome::unusable);
    CHECK(look("hello", rules).outcome == Extracted::Outcome::elsewhere);
    PointRules gram = matching(R"(^ST,([+-][\d.]+) +g$)"); // A&D, sent in kg
    gram.scale = 0.001;
    CHECK(value("ST,+00012.34  g", gram) == 0.01234);
    PointRules sartorius = matching(R"(([+-] *[\d.]+) g)"); // the unit is blank while it moves
    CHECK(value("+     1255.7 g  ", sartorius) == 1255.7);
    CHECK(look("+     1255.7    ", sartorius).outcome == Extracted::Outcome::elsewhere);
    PointRules sics = matching(R"(^S ([SD]| ) +([\d.]+) g)");
    CHECK(sics.match->captures() == 2);
}

TEST_CASE("CO2 probes, thermometers and their fault values") {
    PointRules cozir = matching(R"(^ ?Z (\d+))");
    cozir.scale = 10;
    CHECK(value(" Z 00512 z 00510", cozir) == 5120);
    CHECK(value("CO2=   452 ppm", matching(R"(CO2= *([\d.]+) ppm)")) == 452);
    PointRules one_wire = matching(R"(^1 (-?[\d.]+))");
    one_wire.invalid = {"85.0", "-127"};
    CHECK(value("1 0020.56", one_wire) == 20.56);
    CHECK(look("1 0085.00", one_wire).outcome == Extracted::Outcome::unusable);
    CHECK(look("1 -127.00", one_wire).outcome == Extracted::Outcome::unusable);
    CHECK(value("0R1,Dn=236D,Sn=0.0M", matching(R"(Dn=(\d+)D)")) == 236);
}

TEST_CASE("NMEA columns, with the checksum behind the last one") {
    std::string gga = "$GPGGA,091530.00,5204.1234,N,00518.4321,E,1,09,0.92,3.4,M,46.1,M,,*5B";
    CHECK(value(gga, column(9)) == 3.4);
    PointRules latitude = column(2), longitude = column(4);
    latitude.type = longitude.type = ValueType::degrees;
    CHECK(value(gga, latitude) == doctest::Approx(52.068723).epsilon(1e-8));
    CHECK(value(gga, longitude) == doctest::Approx(5.307202).epsilon(1e-7));
    guard(latitude, R"(^\$GPRMC,[^,]*,A,)");
    CHECK(look("$GPRMC,091531.00,V,,,,,,,231126,,,N*77", latitude).outcome == Extracted::Outcome::unusable);
    PointRules speed = column(7);
    speed.scale = 0.514444;
    CHECK(value("$GPRMC,091530.00,A,5204.1234,N,00518.4321,E,0.04,,231126,,,A*40", speed) ==
          doctest::Approx(0.0206).epsilon(0.01));
    CHECK(value("$X,1,2*33", column(2)) == 2);
    CHECK(look("$X,1,2*33", column(3)).outcome == Extracted::Outcome::elsewhere);
    CHECK(look("$X,,2*33", column(1)).outcome == Extracted::Outcome::unusable);
    PointRules pressure = matching(R"(P,([\d.]+),B,PRES)");
    pressure.scale = 100000;
    Extracted exact = look("$WIXDR,C,7.4,C,TEMP,P,1.0132,B,PRES,H,81.5,P,RH*78", pressure);
    CHECK(std::get<std::int64_t>(exact.value) == 101320);
}

TEST_CASE("VE.Direct labels") {
    std::string block = "\r\nPID\t0xA042\r\nV\t12800\r\nI\t-15\r\nSER#\tHQ1\r\nLOAD\tON";
    PointRules volts = matching(R"(\nV\t(-?\d+))");
    volts.scale = 0.001;
    CHECK(value(block, volts) == 12.8);
    PointRules load = matching(R"(\nLOAD\t(\w+))");
    load.type = ValueType::boolean;
    CHECK(std::get<bool>(look(block, load).value));
    PointRules serial = matching(R"(\nSER#\t(\w+))");
    serial.type = ValueType::string;
    CHECK(std::get<std::string>(look(block, serial).value) == "HQ1");
}

TEST_CASE("JSON lines") {
    PointRules rules;
    rules.pointer = "/sensors/1/t";
    std::string line = R"({"sensors":[{"t":1},{"t":21.4,"ok":true,"name":"roof"}],"n":null})";
    CHECK(value(line, rules) == 21.4);
    rules.pointer = "/sensors/1/ok";
    rules.type = ValueType::boolean;
    CHECK(std::get<bool>(look(line, rules).value));
    rules.pointer = "/n";
    CHECK(look(line, rules).outcome == Extracted::Outcome::elsewhere);
    CHECK(look("{broken", rules).outcome == Extracted::Outcome::elsewhere);
    CHECK(is_json_pointer("/a~1b"));
    CHECK_FALSE(is_json_pointer("a"));
    CHECK_FALSE(is_json_pointer("/a~2"));
}

TEST_CASE("bytes in every type and order") {
    std::string frame("\x01\x02\x03\x04\xff\xfe\x41\xbb\x33\x33\x00", 11);
    CHECK(value(frame, bytes_at(0, ValueType::uint16)) == 0x0102);
    CHECK(value(frame, bytes_at(0, ValueType::uint16, ByteOrder::dcba)) == 0x0201);
    CHECK(value(frame, bytes_at(0, ValueType::uint32)) == 0x01020304);
    CHECK(value(frame, bytes_at(0, ValueType::uint32, ByteOrder::cdab)) == 0x03040102);
    CHECK(value(frame, bytes_at(0, ValueType::uint32, ByteOrder::badc)) == 0x02010403);
    CHECK(value(frame, bytes_at(0, ValueType::uint32, ByteOrder::dcba)) == 0x04030201);
    CHECK(value(frame, bytes_at(4, ValueType::int16)) == -2);
    CHECK(value(frame, bytes_at(4, ValueType::int8)) == -1);
    CHECK(value(frame, bytes_at(6, ValueType::float32)) == 23.4); // not 23.399999618530273
    CHECK(look(frame, bytes_at(8, ValueType::uint32)).outcome ==
          Extracted::Outcome::elsewhere); // beyond the end
    PointRules bit = bytes_at(3, ValueType::uint8);
    bit.bit = 2;
    CHECK(std::get<bool>(look(frame, bit).value));
    std::string big(8, '\xff');
    CHECK(std::get<std::uint64_t>(look(big, bytes_at(0, ValueType::uint64)).value) == UINT64_MAX);
    CHECK(value(big, bytes_at(0, ValueType::int64)) == -1);
    CHECK(look(std::string("\x7f\xc0\x00\x00", 4), bytes_at(0, ValueType::float32)).outcome ==
          Extracted::Outcome::unusable); // NaN
    PointRules text = bytes_at(0, ValueType::string);
    text.length = 4;
    CHECK(std::get<std::string>(look(std::string("ab\0x", 4), text).value) == "ab");
}

TEST_CASE("numbers as sensors write them, exactly scaled") {
    PointRules rules;
    auto read = [&rules](const char* text) {
        std::optional<PointValue> number = read_number(text, rules);
        return number ? (std::holds_alternative<double>(*number)
                             ? std::get<double>(*number)
                             : static_cast<double>(std::get<std::int64_t>(*number)))
                      : -999;
    };
    CHECK(read(" +  12.34 ") == 12.34);
    CHECK(read("- 3") == -3);
    CHECK(read("1.5e-3") == 0.0015);
    CHECK(read(".5") == 0.5);
    for (const char* bad : {"", "-", "nan", "inf", "0x10", "1,5", "1 2", "12kg", "1e999"})
        CHECK_MESSAGE(read(bad) == -999, bad);
    rules.has_decimal_comma = true;
    CHECK(read("1.234,5") == 1234.5);
    rules.has_decimal_comma = false;
    rules.scale = 0.1;
    rules.offset = -40;
    CHECK(read("615") == 21.5);
    CHECK(read("0.7") == -39.93);
}

TEST_CASE("an expression cannot be made to run for ever") {
    PointRules rules = matching("^(a+)+$");
    std::string text(60'000, 'a');
    text += '!';
    CHECK(look(text, rules).outcome ==
          Extracted::Outcome::elsewhere); // a backtracking engine never ends here
    std::string why;
    CHECK_FALSE(Pattern::parse("(", why));
    CHECK_FALSE(why.empty());
    CHECK_FALSE(Pattern::parse("((a{1000}){1000}){1000}", why));
}

TEST_CASE("hexadecimal digits are numbers of their width") {
    PointRules rules = matching("^T=([0-9A-Fa-fx]+)");
    rules.is_hex = true;
    CHECK(value("T=1F", rules) == 31);
    CHECK(value("T=0x1f", rules) == 31);
    CHECK(value("T=1E3", rules) == 0x1e3); // not a thousand
    rules.type = ValueType::int16;
    rules.scale = 0.1;
    CHECK(value("T=FFE0", rules) == -3.2);
    CHECK(value("T=7FFF", rules) == 3276.7);
    CHECK(value("T=20", rules) == 3.2);
    CHECK(look("T=1FFFF", rules).outcome == Extracted::Outcome::unreadable);
    CHECK(look("T=x1", rules).outcome == Extracted::Outcome::unreadable);
    rules.invalid = {"-32768", "7FFE"};
    CHECK(look("T=8000", rules).outcome == Extracted::Outcome::unusable);
    CHECK(look("T=7FFE", rules).outcome == Extracted::Outcome::unusable);
    rules.type = ValueType::uint16;
    rules.order = ByteOrder::dcba;
    rules.scale = 1;
    CHECK(value("T=3412", rules) == 0x1234);
    rules.order = ByteOrder::abcd;
    rules.type = ValueType::float32;
    CHECK(value("T=41BB3333", rules) == 23.4);
    rules.type = ValueType::uint8;
    rules.bit = 3;
    CHECK(std::get<bool>(look("T=08", rules).value));
}
