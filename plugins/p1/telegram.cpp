// SPDX-License-Identifier: Apache-2.0
#include "p1/telegram.hpp"

#include "p1/telegram_decoder.hpp"

#include <algorithm>
#include <utility>

namespace things {

namespace {

constexpr std::size_t max_lines = 1024; // far above any telegram; a 16 KiB one of short lines stays bounded
// 2^31 - 1 seconds: an entry that was never a power failure.
constexpr std::int64_t factory_duration = 2147483647;

} // namespace

std::optional<MeterNumber> parse_number(std::string_view field, std::string_view standard_unit) {
    std::size_t end = field.find('*');
    std::string_view unit;
    if (end != std::string_view::npos) {
        unit = trimmed_blanks(field.substr(end + 1));
    } else {
        end = std::min(field.find_first_not_of("0123456789.,+- "), field.size());
        unit = trimmed_blanks(field.substr(end));
        if (!unit.empty() && find_scale(unit) == nullptr)
            return std::nullopt; // a word, not a value
    }
    std::optional<Decimal> value = parse_decimal(trimmed_blanks(field.substr(0, end)));
    if (!value)
        return std::nullopt;
    return MeterNumber{*value, std::string(unit), find_scale(unit.empty() ? standard_unit : unit)};
}

std::optional<int> parse_small(std::string_view field) {
    std::optional<Decimal> value = parse_decimal(trimmed_blanks(field));
    if (!value || value->exponent != 0 || value->mantissa < 0 || value->mantissa > 999)
        return std::nullopt;
    return static_cast<int>(value->mantissa);
}

void TelegramDecoder::decode(std::string_view body) {
    split(body);
    find_devices();
    for (const ObjectLine& line : lines_)
        decode_line(line);
    std::sort(telegram_.mbus.begin(), telegram_.mbus.end(),
              [](const MbusDevice& a, const MbusDevice& b) { return a.channel < b.channel; });
}

void TelegramDecoder::split(std::string_view body) {
    bool is_header = true;
    while (!body.empty() && lines_.size() < max_lines) {
        std::size_t end = body.find('\n');
        std::string_view line = body.substr(0, end);
        body.remove_prefix(end == std::string_view::npos ? body.size() : end + 1);
        while (!line.empty() && line.back() == '\r')
            line.remove_suffix(1);
        if (std::exchange(is_header, false))
            telegram_.header = to_utf8(line.substr(std::min<std::size_t>(1, line.size())));
        else if (!line.empty())
            take_line(line);
    }
}

/// The last line was the first half of "0-1:24.3.0(time)(status)(period)(count)(obis)(unit)", without a
/// value.
bool TelegramDecoder::awaits_value() const {
    return !lines_.empty() && lines_.back().fields.size() == 6 &&
           lines_.back().code.text.find(":24.3.") != std::string::npos;
}

void TelegramDecoder::take_line(std::string_view line) {
    if (line.front() == '(') {
        std::optional<std::vector<std::string_view>> fields = parse_fields(line);
        if (fields && awaits_value())
            lines_.back().fields.insert(lines_.back().fields.end(), fields->begin(), fields->end());
        else
            ++telegram_.unreadable;
        return;
    }
    std::optional<ObjectLine> parsed = parse_object_line(line);
    if (parsed && !parsed->code.is_billing)
        lines_.push_back(std::move(*parsed));
    else if (!parsed)
        ++telegram_.unreadable;
}

void TelegramDecoder::decode_line(const ObjectLine& line) {
    if (line.fields.empty() || decode_admin(line.code.text, line.fields) || decode_device(line))
        return;
    if (const KnownObject* known = find_known_object(line.code.text); known != nullptr)
        decode_known(line, *known);
    else
        decode_other(line);
}

/// Objects that are no readings: clock, version, log.
bool TelegramDecoder::decode_admin(const std::string& obis, const std::vector<std::string_view>& fields) {
    if (obis == "0-0:1.0.0")
        telegram_.meter_time = time_of(fields.front());
    else if (obis == "1-3:0.2.8" || obis == "0-0:96.1.4")
        telegram_.version = to_utf8(trimmed_blanks(fields.front()));
    else if (obis == "1-0:99.97.0")
        decode_failures(fields);
    else
        return false;
    return true;
}

/// (count)(obis)(end)(duration*s)(end)(duration*s)...; an empty log in any of its forms has no pair.
void TelegramDecoder::decode_failures(const std::vector<std::string_view>& fields) {
    telegram_.has_power_failure_log = true;
    telegram_.power_failures.clear();
    for (std::size_t i = 0; i + 1 < fields.size(); ++i) {
        std::optional<MeterTime> end = time_of(fields[i]);
        std::optional<MeterNumber> duration = end ? parse_number(fields[i + 1], "s") : std::nullopt;
        if (!duration || duration->value.exponent != 0)
            continue;
        const auto seconds = static_cast<std::int64_t>(duration->value.mantissa);
        bool is_valid = end->is_valid() && seconds >= 0 && seconds != factory_duration;
        telegram_.power_failures.push_back({std::move(*end), seconds, is_valid});
        ++i;
    }
}

/// (value), (time)(value) or (value)(time).
void TelegramDecoder::decode_plain(MeterObject& object, const std::vector<std::string_view>& fields,
                                   std::string_view unit) const {
    std::size_t at = 0;
    if (fields.size() >= 2) {
        object.time = time_of(fields[0]);
        at = object.time ? 1 : 0;
        if (!object.time)
            object.time = time_of(fields[1]);
    }
    std::optional<MeterNumber> number = parse_number(fields[at], unit);
    object.kind = number ? MeterObject::Kind::number : MeterObject::Kind::text;
    if (number)
        object.number = std::move(*number);
    else
        object.text = to_utf8(trimmed_blanks(fields[at]));
}

void TelegramDecoder::decode_known(const ObjectLine& line, const KnownObject& known) {
    if (known.name == "powerDemandHistory")
        return decode_peaks(line, known);
    if (line.code.text.substr(0, 7) == "7-0:23.")
        return decode_hour(line, known);
    MeterObject object;
    object.obis = line.code.text;
    object.name = known.name;
    bool is_message = known.name.substr(0, 7) == "message";
    if (is_message || known.name.substr(known.name.size() - 2) == "Id" || known.name == "connectionEan") {
        object.text = decode_text(line.fields.front(), !is_message);
        return put(is_message ? telegram_.texts : telegram_.objects, std::move(object));
    }
    if (known.name == "currentLimit" && line.fields.size() == 2) {
        object.kind = MeterObject::Kind::list;
        for (std::string_view field : line.fields)
            if (std::optional<MeterNumber> number = parse_number(field, known.unit); number)
                object.entries.push_back({std::nullopt, std::nullopt, std::move(*number)});
        return put(telegram_.objects, std::move(object));
    }
    decode_plain(object, line.fields, known.unit);
    if (object.kind != MeterObject::Kind::number) { // "()", or a word where a number belongs
        ++telegram_.unreadable;
        return;
    }
    if (line.code.text == "0-0:17.0.0" && object.number.scale != nullptr)
        object.name = object.number.scale->primary == "A"    ? "currentLimit"
                      : object.number.scale->primary == "VA" ? "apparentPowerLimit"
                                                             : "powerLimit";
    if (object.time)
        object.is_valid = object.time->is_valid();
    if (object.name.substr(0, 11) == "powerFactor" && to_double(to_amount(object.number.value)) > 1)
        object.is_valid = false;
    put(telegram_.objects, std::move(object));
}

/// (count)(obis)(obis) and then (end of month)(time of the peak)(value*kW) for each month; other uses of the
/// code have no such triples and give nothing.
void TelegramDecoder::decode_peaks(const ObjectLine& line, const KnownObject& known) {
    MeterObject object;
    object.obis = line.code.text;
    object.name = known.name;
    object.kind = MeterObject::Kind::list;
    for (std::size_t i = 0; i + 2 < line.fields.size(); ++i) {
        std::optional<MeterTime> month_end = time_of(line.fields[i]);
        std::optional<MeterTime> time = month_end ? time_of(line.fields[i + 1]) : std::nullopt;
        std::optional<MeterNumber> number =
            time ? parse_number(line.fields[i + 2], known.unit) : std::nullopt;
        if (!number)
            continue;
        object.entries.push_back({std::move(month_end), std::move(time), std::move(*number)});
        i += 2;
    }
    put(telegram_.objects, std::move(object));
}

void TelegramDecoder::decode_other(const ObjectLine& line) {
    MeterObject object;
    object.obis = line.code.text;
    decode_plain(object, line.fields, "");
    if (object.time)
        object.is_valid = object.time->is_valid();
    if (std::optional<std::pair<int, std::string_view>> mbus = mbus_part(object.obis); mbus)
        object.channel = mbus->first;
    put(telegram_.others, std::move(object));
}

/// The last one of a code that is printed twice counts.
void TelegramDecoder::put(std::vector<MeterObject>& into, MeterObject object) {
    auto same = [&object](const MeterObject& other) {
        return other.obis == object.obis;
    };
    auto known = std::find_if(into.begin(), into.end(), same);
    if (known == into.end()) {
        into.push_back(std::move(object));
        return;
    }
    ++telegram_.repeated;
    *known = std::move(object);
}

bool Telegram::requires_crc() const {
    if (header.substr(0, 4) == "FLU5")
        return true;
    std::optional<Decimal> number = parse_decimal(version);
    return number && number->exponent == 0 && number->mantissa >= 40;
}

bool Telegram::has_known_object() const {
    return !objects.empty() || !mbus.empty() || !texts.empty() || has_power_failure_log;
}

Telegram decode_telegram(std::string_view body, const MeterClockRules& rules) {
    Telegram telegram;
    TelegramDecoder(rules, telegram).decode(body);
    return telegram;
}

} // namespace things
