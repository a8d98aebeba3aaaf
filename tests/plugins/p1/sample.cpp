// SPDX-License-Identifier: Apache-2.0
#include "plugins/p1/sample.hpp"

#include "p1/cipher_stream.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string_view>

namespace things {

namespace {

using Json = simdjson::dom::element;

std::optional<Json> find(const Json& json, const char* key) {
    Json value;
    if (json[key].get(value) != simdjson::SUCCESS || value.is_null())
        return std::nullopt;
    return value;
}

std::string text(const Json& json) {
    std::string_view view;
    REQUIRE(json.get(view) == simdjson::SUCCESS);
    return std::string(view);
}

std::string text(const Json& json, const char* key) {
    std::optional<Json> value = find(json, key);
    return value ? text(*value) : std::string();
}

double number(const Json& json) {
    double value = 0;
    REQUIRE(json.get(value) == simdjson::SUCCESS);
    return value;
}

void check_time(const Json& json, const std::optional<MeterTime>& time) {
    REQUIRE(time.has_value());
    CHECK(time->text == text(json, "text"));
    bool is_valid = bool(json["valid"]);
    CHECK(time->is_valid() == is_valid);
    if (is_valid)
        CHECK(*time->unix_seconds == std::int64_t(json["unix"]));
}

void check_converted(const Json& json, const MeterNumber& number_read, const char* key) {
    std::optional<Json> senml = find(json, key);
    if (!senml)
        return;
    double expected = number(*find(*senml, "v"));
    std::string unit = text(*senml, "u");
    if (number_read.scale == nullptr) { // a count, or no unit
        CHECK(to_double(to_amount(number_read.value)) == expected);
        return;
    }
    const UnitScale* wanted = find_scale(unit);
    REQUIRE(wanted != nullptr);
    if (std::string_view(key) == "senml")
        CHECK(number_read.scale->primary == unit);
    std::optional<Amount> converted = convert(number_read.value, *number_read.scale, *wanted);
    REQUIRE(converted.has_value());
    CHECK(to_double(*converted) == expected); // to the last bit
    if (expected == static_cast<double>(static_cast<std::int64_t>(expected)))
        CHECK(std::holds_alternative<std::int64_t>(*converted));
}

void check_number(const Json& json, const MeterNumber& number_read) {
    CHECK(to_double(to_amount(number_read.value)) == number(*find(json, "value")));
    CHECK(number_read.unit == text(json, "unit"));
    check_converted(json, number_read, "senml");
    check_converted(json, number_read, "senml_readable");
}

void check_entries(const simdjson::dom::array& expected, const MeterObject& object) {
    REQUIRE(object.entries.size() == expected.size());
    std::size_t i = 0;
    for (const Json& entry : expected) {
        const MeterEntry& read = object.entries[i++];
        check_number(entry, read.number);
        if (std::optional<Json> month_end = find(entry, "month_end"); month_end)
            check_time(*month_end, read.month_end);
        if (std::optional<Json> time = find(entry, "time"); time)
            check_time(*time, read.time);
        if (std::optional<Json> valid = find(entry, "valid"); valid)
            CHECK(read.is_valid() == bool(*valid));
    }
}

void check_object(const Json& json, const MeterObject& object) {
    CAPTURE(object.obis);
    CHECK(object.obis == text(json, "obis"));
    CHECK(object.name == text(json, "name"));
    if (std::optional<Json> shown = find(json, "text"); shown) {
        CHECK(object.kind == MeterObject::Kind::text);
        CHECK(object.text == text(*shown));
    }
    if (find(json, "value")) {
        REQUIRE(object.kind == MeterObject::Kind::number);
        check_number(json, object.number);
    }
    for (const char* key : {"entries", "values"})
        if (std::optional<Json> entries = find(json, key); entries)
            check_entries(simdjson::dom::array(*entries), object);
    if (std::optional<Json> newest = find(json, "newest"); newest)
        CHECK(object.newest == std::int64_t(*newest));
    if (std::optional<Json> time = find(json, "time"); time)
        check_time(*time, object.time);
    if (std::optional<Json> valid = find(json, "valid"); valid)
        CHECK(object.is_valid == bool(*valid));
    CHECK(object.status == text(json, "status"));
}

void check_devices(const Json& json, const Telegram& telegram) {
    std::optional<Json> mbus = find(json, "mbus");
    CHECK(telegram.mbus.size() == (mbus ? simdjson::dom::array(*mbus).size() : 0));
    if (!mbus)
        return;
    std::size_t i = 0;
    for (const Json& expected : simdjson::dom::array(*mbus)) {
        const MbusDevice& device = telegram.mbus[i++];
        CHECK(device.channel == std::int64_t(expected["channel"]));
        CHECK(device.type == std::int64_t(expected["type"]));
        CHECK(device.medium == text(expected, "medium"));
        CHECK(device.id == text(expected, "id"));
        std::optional<Json> valve = find(expected, "valve");
        CHECK(device.valve.value_or(-1) == (valve ? std::int64_t(*valve) : -1));
    }
}

void check_failures(const Json& json, const Telegram& telegram) {
    std::optional<Json> failures = find(json, "power_failures");
    CHECK(telegram.power_failures.size() == (failures ? simdjson::dom::array(*failures).size() : 0));
    if (!failures)
        return;
    CHECK(telegram.has_power_failure_log);
    std::size_t i = 0;
    for (const Json& expected : simdjson::dom::array(*failures)) {
        const PowerFailure& failure = telegram.power_failures[i++];
        check_time(*find(expected, "end"), failure.end);
        CHECK(failure.seconds == std::int64_t(expected["duration_s"]));
        CHECK(failure.is_valid == bool(expected["valid"]));
    }
}

void check_texts(const Json& json, const Telegram& telegram) {
    std::optional<Json> texts = find(json, "text");
    CHECK(telegram.texts.size() == (texts ? simdjson::dom::object(*texts).size() : 0));
    if (!texts)
        return;
    for (auto [obis, expected] : simdjson::dom::object(*texts)) {
        auto same = [code = obis](const MeterObject& object) {
            return object.obis == code;
        };
        auto shown = std::find_if(telegram.texts.begin(), telegram.texts.end(), same);
        REQUIRE(shown != telegram.texts.end());
        CHECK(shown->text == text(expected));
    }
}

void check_crc(const Json& json, const FoundTelegram& found) {
    std::optional<Json> crc = find(json, "crc");
    if (!crc) {
        CHECK(found.crc == CrcKind::none);
        return;
    }
    CHECK(found.crc == (text(*crc, "kind") == "CRC-16/X-25" ? CrcKind::x25 : CrcKind::arc));
    CHECK(found.stated == static_cast<std::uint16_t>(std::stoul(text(*crc, "stated"), nullptr, 16)));
    CHECK(found.computed == static_cast<std::uint16_t>(std::stoul(text(*crc, "computed"), nullptr, 16)));
}

void check_accepted(const Json& json, const FoundTelegram& found) {
    const Telegram& telegram = *found.telegram;
    CHECK(found.offset == std::uint64_t(json["offset"]));
    CHECK(found.length == std::uint64_t(json["length"]));
    CHECK(telegram.header == text(json, "header"));
    CHECK(telegram.version == text(json, "version"));
    check_crc(json, found);
    if (std::optional<Json> time = find(json, "meter_time"); time)
        check_time(*time, telegram.meter_time);
    else
        CHECK_FALSE(telegram.meter_time.has_value());
    if (std::optional<Json> counter = find(json, "frame_counter"); counter)
        CHECK(found.frame_counter == std::uint64_t(*counter));
    simdjson::dom::array objects = json["objects"];
    REQUIRE(telegram.objects.size() == objects.size());
    std::size_t i = 0;
    for (const Json& expected : objects)
        check_object(expected, telegram.objects[i++]);
    check_devices(json, telegram);
    check_failures(json, telegram);
    check_texts(json, telegram);
}

} // namespace

std::vector<std::string> sample_names() {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(P1_TELEGRAMS))
        if (entry.path().extension() == ".json")
            names.push_back(entry.path().stem().string());
    std::sort(names.begin(), names.end());
    return names;
}

std::string sample_bytes(const std::string& name) {
    std::string path = std::string(P1_TELEGRAMS) + "/" + name;
    std::ifstream file(path + (std::filesystem::exists(path + ".txt") ? ".txt" : ".bin"), std::ios::binary);
    REQUIRE(file.good());
    return {std::istreambuf_iterator<char>(file), {}};
}

Json sample_json(const std::string& name, simdjson::dom::parser& parser) {
    return parser.load(std::string(P1_TELEGRAMS) + "/" + name + ".json");
}

std::vector<FoundTelegram> decode_sample(const Json& json, const std::string& bytes,
                                         const std::function<std::size_t()>& cut) {
    std::vector<FoundTelegram> all;
    auto keep = [&all](FoundTelegram found) {
        all.push_back(std::move(found));
    };
    Json options = *find(json, "options");
    TelegramRules rules;
    rules.crc = text(options, "crc") == "x25" ? CrcKind::x25 : CrcKind::automatic;
    TelegramStream plain(rules, keep);
    std::optional<CipherStream> encrypted;
    if (find(options, "key"))
        encrypted.emplace(*MeterKeys::parse(text(options, "key"), text(options, "aad")), rules, keep);
    for (std::size_t at = 0; at < bytes.size();) {
        std::string_view piece = std::string_view(bytes).substr(at, cut());
        encrypted ? encrypted->feed(piece) : plain.feed(piece);
        at += piece.size();
    }
    encrypted ? encrypted->flush() : plain.flush();
    return all;
}

void check_sample(const Json& json, const std::vector<FoundTelegram>& found) {
    simdjson::dom::array accepted = json["accepted"];
    simdjson::dom::array rejected = json["rejected"];
    std::vector<const FoundTelegram*> good;
    std::size_t bad = 0;
    for (const FoundTelegram& one : found) {
        if (one.telegram)
            good.push_back(&one);
        else
            ++bad;
    }
    CHECK(bad == rejected.size());
    REQUIRE(good.size() == accepted.size());
    std::size_t i = 0;
    for (const Json& expected : accepted)
        check_accepted(expected, *good[i++]);
}

} // namespace things
