// SPDX-License-Identifier: Apache-2.0
#include "routing/command_check.hpp"

#include "support/routing_site.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using things::CheckContext;
using things::Checked;
using things::Downlink;
using things::DownlinkRecord;
using things::Value;
using things::ValueKind;

namespace {

DownlinkRecord record(std::string name, std::optional<Value> value, std::string unit = {},
                      std::optional<double> time = {}) {
    return {std::move(name), std::move(unit), std::move(value), time};
}

std::string reason_of(const DownlinkRecord& asked, const things::DeviceConfig& device,
                      const CheckContext& context = {}) {
    return things::check({{asked}}, device, context).records.at(0).reason;
}

} // namespace

TEST_CASE("one record is allowed or refused with a reason") {
    auto site = things::make_site();
    auto& boiler = site.devices.front();
    boiler.points.push_back(things::make_writable("level"));
    boiler.points.back().writable->allowed = {std::int64_t{0}, std::int64_t{50}, 99.5};
    boiler.points.push_back(things::make_writable("state"));
    boiler.points.back().labels = {{0, "off"}, {1, "on"}, {2, "auto"}};
    boiler.points.back().writable->allowed = {std::string("on"), std::int64_t{2}};
    const double nan = std::nan(""), infinity = std::numeric_limits<double>::infinity();
    struct Case {
        DownlinkRecord asked;
        std::string reason; ///< part of it; empty: allowed
        Value written;
    };
    const std::vector<Case> cases{
        {record("pump", true), "", true},
        {record("pump", std::int64_t{1}), "", true},
        {record("pump", 0.0), "", false},
        {record("pump", std::int64_t{2}), "neither true nor false", {}},
        {record("pump", 0.5), "neither true nor false", {}},
        {record("pump", std::string("on")), "neither true nor false", {}},
        {record("setpoint", 21.5), "", 21.5},
        {record("setpoint", 21.0), "", std::int64_t{21}},
        {record("setpoint", std::int64_t{5}), "", std::int64_t{5}},
        {record("setpoint", std::int64_t{30}), "", std::int64_t{30}},
        {record("setpoint", 30.000001), "30.000001 Cel is above its maximum 30 Cel", {}},
        {record("setpoint", std::int64_t{4}), "4 Cel is below its minimum 5 Cel", {}},
        {record("setpoint", std::uint64_t{18446744073709551615U}), "above its maximum", {}},
        {record("setpoint", -1e308), "below its minimum", {}},
        {record("setpoint", true), "not a number", {}},
        {record("setpoint", std::string("21")), "not a number", {}},
        {record("setpoint", nan), "not a finite number", {}},
        {record("setpoint", infinity), "not a finite number", {}},
        {record("setpoint", 21.5, "Cel"), "", 21.5},
        {record("setpoint", 21.5, "K"), "its unit is 'Cel', not 'K'", {}},
        {record("pump", true, "Cel"), "its unit is '', not 'Cel'", {}},
        {record("mode", std::string("on")), "", std::int64_t{1}},
        {record("mode", std::int64_t{0}), "", std::int64_t{0}},
        {record("mode", 1.0), "", std::int64_t{1}},
        {record("mode", std::string("On")), "none of its labels", {}},
        {record("mode", std::int64_t{7}), "none of its labels", {}},
        {record("mode", 0.5), "none of its labels", {}},
        {record("mode", true), "not a number", {}},
        {record("note", std::string("closed for repair")), "", std::string("closed for repair")},
        {record("note", std::string("a\nb")), "control character", {}},
        {record("note", std::string("a\0b", 3)), "control character", {}},
        {record("note", std::string(257, 'x')), "too long", {}},
        {record("note", std::int64_t{1}), "not a text", {}},
        {record("level", std::int64_t{50}), "", std::int64_t{50}},
        {record("level", 99.5), "", 99.5},
        {record("level", std::int64_t{51}), "none of its allowed values", {}},
        {record("state", std::string("on")), "", std::int64_t{1}},
        {record("state", std::int64_t{2}), "", std::int64_t{2}},
        {record("state", std::string("off")), "none of its allowed values", {}},
        {record("temperature", 20.0), "read only", {}},
        {record("url", std::string("http://192.0.2.1/")), "no such point", {}},
        {record("Pump", true), "no such point", {}},
        {record(std::string(500, 'x'), true), "no such point", {}},
        {record("pump", std::nullopt), "asks for no value", {}},
    };
    for (const auto& c : cases) {
        CAPTURE(c.asked.name);
        CAPTURE(c.reason);
        const auto checked = things::check({{c.asked}}, boiler, {}).records.at(0);
        if (c.reason.empty()) {
            CHECK(checked.reason == "");
            CHECK(checked.value == c.written);
        } else {
            CHECK_MESSAGE(checked.reason.find(c.reason) != std::string::npos, checked.reason);
        }
        CHECK(checked.point.size() < 70);
    }
}

TEST_CASE("a point with the longest name is found") {
    auto site = things::make_site();
    const std::string name(200, 'a');
    site.devices.front().points.push_back(things::make_writable(name));
    const Checked checked = things::check({{record(name, 1.0)}}, site.devices.front(), {});
    CHECK(checked.records.at(0).reason.empty());
    CHECK(checked.records.at(0).point == name);
}

TEST_CASE("one refused record refuses its whole downlink, unless each is for itself") {
    auto site = things::make_site();
    auto& boiler = site.devices.front();
    const Downlink asked{{record("pump", true), record("setpoint", std::int64_t{99})}};
    SUBCASE("atomic, the default") {
        const auto checked = things::check(asked, boiler, {});
        CHECK_FALSE(checked.is_any_allowed());
        CHECK(checked.records[0].reason ==
              "refused together with 'setpoint': 99 Cel is above its maximum 30 Cel");
    }
    SUBCASE("each") {
        boiler.commands = things::CommandMode::each;
        const auto checked = things::check(asked, boiler, {});
        CHECK(checked.records[0].reason.empty());
        CHECK_FALSE(checked.records[1].reason.empty());
    }
}

TEST_CASE("the write switches stop every command") {
    const auto site = things::make_site();
    CheckContext context;
    context.writes = false;
    CHECK(reason_of(record("pump", true), site.devices.front(), context) == "writes are switched off");
    context.writes = true;
    context.read_only_sources = {"plc"};
    CHECK(reason_of(record("pump", true), site.devices.front(), context) ==
          "writes are switched off for source 'plc'");
    context.read_only_sources = {"cabinet"};
    CHECK(reason_of(record("pump", true), site.devices.front(), context) == "");
}

TEST_CASE("times: not before, not after, and only by a clock that is right") {
    const auto site = things::make_site();
    const auto& boiler = site.devices.front();
    CheckContext context;
    context.now_wall_ms = 1'700'000'000'000;
    const auto check_at = [&boiler, &context](double time) {
        return things::check({{record("pump", true, "", time)}}, boiler, context).records.at(0);
    };
    CHECK(check_at(0).delay_ms == 0);
    CHECK(check_at(90.5).delay_ms == 90'500);
    CHECK(check_at(-59).delay_ms == -59'000);
    CHECK(check_at(-61).expired);
    CHECK(check_at(1'700'000'100).delay_ms == 100'000);
    CHECK(check_at(1'699'999'950).delay_ms == -50'000);
    CHECK(check_at(1'699'999'000).expired);
    CHECK(check_at(268435456).expired); // RFC 8428 4.5.3: absolute from here on, in 1978
    CHECK(check_at(268435455).reason.find("7 days") != std::string::npos);
    CHECK(check_at(1e300).reason.find("7 days") != std::string::npos);
    CHECK(check_at(-1e300).expired);
    context.clock_trusted = false;
    CHECK(check_at(1'700'000'100).reason.find("clock is not set") != std::string::npos);
    CHECK(check_at(10).reason.empty());
}

TEST_CASE("a point is not written more often than it may be") {
    auto site = things::make_site();
    auto& boiler = site.devices.front();
    boiler.points[1].writable->min_interval = 10s;
    CheckContext context;
    context.since_write_ms["pump"] = 9'999;
    CHECK(reason_of(record("pump", true), boiler, context) == "it may be written every 10 s only");
    CHECK(reason_of(record("pump", true, "", 1.0), boiler, context) == "");
    context.since_write_ms["pump"] = 10'000;
    CHECK(reason_of(record("pump", true), boiler, context) == "");
    const auto twice = things::check({{record("pump", true), record("pump", false, "", 9.0)}}, boiler, {});
    CHECK_FALSE(twice.is_any_allowed());
    const auto apart = things::check({{record("pump", true), record("pump", false, "", 10.0)}}, boiler, {});
    CHECK(apart.records[1].reason == "");
}

TEST_CASE("records run in the order of their times, else as sent") {
    const auto site = things::make_site();
    const auto checked = things::check({{record("pump", true, "", 60.0), record("mode", std::int64_t{1}),
                                         record("setpoint", 20.0, "", -5.0)}},
                                       site.devices.front(), {});
    CHECK(checked.records[0].point == "mode");
    CHECK(checked.records[1].point == "setpoint");
    CHECK(checked.records[2].point == "pump");
}

TEST_CASE("the largest step is measured from the present value") {
    auto point = things::make_writable("setpoint", "Cel");
    point.writable->max_step = 5;
    CHECK(things::check_step(point, 20.0, std::int64_t{25}).empty());
    CHECK(things::check_step(point, 20.0, 15.0).empty());
    CHECK(things::check_step(point, 20.000001, 25.000002).empty());
    CHECK(things::check_step(point, 20.0, 25.1) == "the step from 20 Cel to 25.1 Cel is larger than 5");
    CHECK_FALSE(things::check_step(point, std::string("x"), 25.0).empty());
    CHECK_FALSE(things::check_step(point, -1e308, 1e308).empty());
}

TEST_CASE("what a point takes shows in its settings, its rules or its last value") {
    auto point = things::make_writable("x");
    CHECK(things::kind_of(point, {}) == ValueKind::any);
    CHECK(things::kind_of(point, Value(true)) == ValueKind::boolean);
    CHECK(things::kind_of(point, Value(1.5)) == ValueKind::number);
    CHECK(things::kind_of(point, Value(std::string("x"))) == ValueKind::text);
    point.writable->max = 3;
    CHECK(things::kind_of(point, {}) == ValueKind::number);
    point.settings.push_back({"type", std::string("bool"), {}, {}, false});
    CHECK(things::kind_of(point, {}) == ValueKind::boolean);
    point.settings.back().value = std::string("string");
    CHECK(things::kind_of(point, {}) == ValueKind::text);
    point.settings.back().value = std::string("float32");
    CHECK(things::kind_of(point, Value(true)) == ValueKind::number);
}

TEST_CASE("a technician's text becomes the value that is meant") {
    const auto site = things::make_site();
    const auto& points = site.devices.front().points;
    const auto& pump = points[1];
    const auto& mode = points[3];
    CHECK(things::value_from_text(pump, ValueKind::boolean, "on") == Value(true));
    CHECK(things::value_from_text(pump, ValueKind::boolean, "0") == Value(false));
    CHECK(things::value_from_text(pump, ValueKind::boolean, "perhaps") == Value(std::string("perhaps")));
    CHECK(things::value_from_text(pump, ValueKind::number, "21.5") == Value(21.5));
    CHECK(things::value_from_text(pump, ValueKind::number, "-3") == Value(std::int64_t{-3}));
    CHECK(things::value_from_text(pump, ValueKind::number, "18446744073709551615") ==
          Value(std::uint64_t{18446744073709551615U}));
    CHECK(things::value_from_text(pump, ValueKind::number, "21.5x") == Value(std::string("21.5x")));
    CHECK(things::value_from_text(pump, ValueKind::text, "21") == Value(std::string("21")));
    CHECK(things::value_from_text(pump, ValueKind::any, "true") == Value(true));
    CHECK(things::value_from_text(mode, ValueKind::number, "on") == Value(std::int64_t{1}));
}

TEST_CASE("a repetition is the same points, values and times within the window") {
    auto site = things::make_site();
    const auto& boiler = site.devices.front();
    const std::int64_t now = 1'700'000'000'000;
    CheckContext context;
    context.now_wall_ms = now;
    std::vector<things::Command> previous(2);
    previous[0].point = "pump";
    previous[0].value = true;
    previous[1].point = "setpoint";
    previous[1].value = 21.5;
    previous[0].received_wall_ms = previous[1].received_wall_ms = now - 10'000;
    const auto repeats = [&](std::vector<DownlinkRecord> records, std::int64_t elapsed) {
        return things::is_repeat(things::check({std::move(records)}, boiler, context).records, previous,
                                 elapsed, now);
    };
    CHECK(repeats({record("pump", std::int64_t{1}), record("setpoint", 21.5)}, 10'000));
    CHECK(repeats({record("pump", true), record("setpoint", 21.5)}, 299'999));
    CHECK_FALSE(repeats({record("pump", true), record("setpoint", 21.5)}, 300'000));
    CHECK_FALSE(repeats({record("pump", false), record("setpoint", 21.5)}, 10'000));
    CHECK_FALSE(repeats({record("pump", true), record("setpoint", 21.4)}, 10'000));
    CHECK_FALSE(repeats({record("pump", true)}, 10'000));
    CHECK_FALSE(repeats({record("setpoint", 21.5), record("pump", true)}, 10'000));
    CHECK_FALSE(repeats({record("pump", true, "", 30.0), record("setpoint", 21.5)}, 10'000));
    previous[0].delay_ms = 40'000; // asked for 30 s from now, by the clock
    CHECK(repeats({record("setpoint", 21.5), record("pump", true, "", now / 1000 + 30.0)}, 10'000) == false);
    std::swap(previous[0], previous[1]);
    CHECK(repeats({record("setpoint", 21.5), record("pump", true, "", now / 1000 + 30.0)}, 10'000));
    site.devices.front().points[1].writable->repeat_window = 0s;
    CHECK_FALSE(repeats({record("setpoint", 21.5), record("pump", true, "", now / 1000 + 30.0)}, 1));
}
