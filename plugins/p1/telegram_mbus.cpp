// SPDX-License-Identifier: Apache-2.0
#include "p1/telegram_decoder.hpp"

#include <algorithm>
#include <utility>

// Meters behind the meter: M-Bus devices on its channels, and the gas meter of DSMR 2.2.
namespace things {

namespace {

bool is_mbus_reading(std::string_view part) {
    return part == "24.2.1" || part == "24.2.3" || part == "24.3.0" || part == "24.3.1";
}

} // namespace

std::optional<std::pair<int, std::string_view>> mbus_part(std::string_view obis) {
    if (obis.size() < 5 || obis.substr(0, 2) != "0-" || obis[3] != ':' || obis[2] < '1' || obis[2] > '9')
        return std::nullopt;
    return std::pair(obis[2] - '0', obis.substr(4));
}

/// Types first: a meter may print them behind the identifier or the reading.
void TelegramDecoder::find_devices() {
    for (const ObjectLine& line : lines_) {
        has_old_gas_ = has_old_gas_ || line.code.text.substr(0, 4) == "7-0:";
        std::optional<std::pair<int, std::string_view>> part = mbus_part(line.code.text);
        if (!part || part->second != "24.1.0" || line.fields.empty())
            continue;
        std::optional<int> type = parse_small(line.fields.front());
        if (!type || *type == 0)
            continue;
        const MbusMedium* medium = find_mbus_type(*type);
        auto same = [&part](const MbusDevice& device) {
            return device.channel == part->first;
        };
        auto known = std::find_if(telegram_.mbus.begin(), telegram_.mbus.end(), same);
        MbusDevice& device = known != telegram_.mbus.end() ? *known : telegram_.mbus.emplace_back();
        device.channel = part->first;
        device.type = *type;
        device.medium = medium != nullptr ? medium->medium : "other";
    }
}

/// Objects 0-n: of M-Bus devices. True if the line was one of them, and is done.
bool TelegramDecoder::decode_device(const ObjectLine& line) {
    std::optional<std::pair<int, std::string_view>> mbus = mbus_part(line.code.text);
    if (!mbus)
        return false;
    auto [channel, part] = *mbus;
    if (part == "24.1.0")
        return true;
    if (is_mbus_reading(part)) {
        decode_reading(line, channel, part);
        return true;
    }
    auto device = std::find_if(telegram_.mbus.begin(), telegram_.mbus.end(),
                               [c = channel](const MbusDevice& d) { return d.channel == c; });
    bool is_id = part == "96.1.0" || part == "96.1.1";
    if (device == telegram_.mbus.end()) {
        if (!is_id || !has_old_gas_)
            return false;
        MeterObject object;
        object.obis = line.code.text;
        object.name = "gasMeterId";
        object.text = decode_text(line.fields.front(), true);
        put(telegram_.objects, std::move(object));
        return true;
    }
    if (is_id)
        device->id = decode_text(line.fields.front(), true);
    else if (part == "24.4.0")
        device->valve = parse_small(line.fields.front());
    else
        return false;
    return true;
}

void TelegramDecoder::decode_reading(const ObjectLine& line, int channel, std::string_view part) {
    MeterObject object;
    object.obis = line.code.text;
    object.channel = channel;
    object.kind = MeterObject::Kind::number;
    const MbusMedium* medium = nullptr;
    for (const MbusDevice& device : telegram_.mbus)
        if (device.channel == channel)
            medium = find_mbus_type(device.type);
    std::string_view unit = medium != nullptr ? medium->unit : "";
    if (medium != nullptr) {
        object.name = medium->reading;
        object.medium = medium->medium;
    }
    if (part.substr(0, 5) == "24.3.")
        decode_two_lines(object, line.fields);
    else
        decode_plain(object, line.fields, unit);
    // Never taken: the capture time was never set. Nothing readable: the line is lost, as if it were not
    // there.
    object.is_valid = object.is_valid && object.time && object.time->is_valid();
    if (object.kind != MeterObject::Kind::number) {
        ++telegram_.unreadable;
        return;
    }
    put(medium != nullptr ? telegram_.objects : telegram_.others, std::move(object));
}

/// (time of the oldest)(status)(period in minutes)(count)(obis)(unit) and then the values; the newest counts.
void TelegramDecoder::decode_two_lines(MeterObject& object,
                                       const std::vector<std::string_view>& fields) const {
    object.kind = MeterObject::Kind::text;
    if (fields.size() < 7)
        return;
    std::optional<MeterNumber> number = parse_number(fields.back(), trimmed_blanks(fields[5]));
    object.time = time_of(fields[0]);
    if (!number || !object.time)
        return;
    object.kind = MeterObject::Kind::number;
    object.number = std::move(*number);
    if (object.number.unit.empty())
        object.number.unit = std::string(trimmed_blanks(fields[5]));
    object.status = std::string(trimmed_blanks(fields[1]));
    std::optional<int> period = parse_small(fields[2]);
    if (object.time->is_valid() && period)
        // The time is that of the first value; the last one is as many periods later.
        *object.time->unix_seconds += static_cast<std::int64_t>(fields.size() - 7) * *period * 60;
}

/// One of the 24 lines of the hourly list, value first; they gather in one object.
void TelegramDecoder::decode_hour(const ObjectLine& line, const KnownObject& known) {
    MeterObject hour;
    decode_plain(hour, line.fields, known.unit);
    if (hour.kind != MeterObject::Kind::number || !hour.time) {
        ++telegram_.unreadable;
        return;
    }
    auto same = [&line](const MeterObject& object) {
        return object.obis == line.code.text;
    };
    auto list = std::find_if(telegram_.objects.begin(), telegram_.objects.end(), same);
    if (list == telegram_.objects.end()) {
        MeterObject object;
        object.obis = line.code.text;
        object.name = known.name;
        object.kind = MeterObject::Kind::list;
        object.medium = "gas";
        list = telegram_.objects.insert(telegram_.objects.end(), std::move(object));
    }
    list->entries.push_back({std::nullopt, std::move(hour.time), std::move(hour.number)});
    const MeterEntry& entry = list->entries.back();
    if (entry.is_valid() &&
        (list->newest < 0 || *entry.time->unix_seconds >=
                                 *list->entries[static_cast<std::size_t>(list->newest)].time->unix_seconds))
        list->newest = static_cast<int>(list->entries.size()) - 1;
}

} // namespace things
