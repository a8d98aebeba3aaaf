// SPDX-License-Identifier: Apache-2.0
#include "p1/selection.hpp"

#include "p1/object_names.hpp"

#include <algorithm>
#include <string_view>

namespace things {

namespace {

constexpr std::string_view failure_log = "1-0:99.97.0", peak_history = "0-0:98.1.0";

/// "1-1:" as "1-0:", which electricity meters use alike.
std::string_view behind_medium(std::string_view obis) {
    bool is_electricity = obis.substr(0, 4) == "1-0:" || obis.substr(0, 4) == "1-1:";
    return is_electricity ? obis.substr(4) : std::string_view();
}

bool has_code(const MeterObject& object, const std::string& obis) {
    if (object.obis == obis)
        return true;
    if (obis.substr(0, 4) == "0-n:" && object.channel > 0)
        return std::string_view(object.obis).substr(4) == std::string_view(obis).substr(4);
    std::string_view wanted = behind_medium(obis);
    return !wanted.empty() && wanted == behind_medium(object.obis);
}

bool is_match(const MeterObject& object, const Selection& selection) {
    if (selection.channel != 0 && object.channel != selection.channel)
        return false;
    if (!selection.medium.empty())
        return object.medium == selection.medium;
    return selection.name.empty() ? has_code(object, selection.obis) : object.name == selection.name;
}

bool is_counter(const MeterObject& object) {
    std::string_view name = object.name;
    return name.substr(0, 6) == "energy" || name.substr(0, 6) == "volume" || name == "subEnergyImport";
}

std::optional<Picked> to_picked(const MeterObject& object) {
    Picked picked;
    if (object.kind == MeterObject::Kind::list) {
        // The hourly list has a newest entry; of two thresholds the first is that of import.
        if (object.entries.empty() || (object.newest < 0 && object.entries.front().time))
            return std::nullopt;
        const MeterEntry& entry = object.entries[static_cast<std::size_t>(std::max(object.newest, 0))];
        picked.number = entry.number;
        if (entry.time)
            picked.capture = entry.time->unix_seconds;
    } else {
        picked.is_text = object.kind == MeterObject::Kind::text;
        picked.text = object.text;
        picked.number = object.number;
        if (object.time)
            picked.capture = object.time->unix_seconds;
    }
    picked.is_counter = is_counter(object);
    return picked;
}

/// The newest of those that match, good ones only.
std::optional<Picked> pick_object(const Telegram& telegram, const Selection& selection) {
    std::optional<Picked> best;
    for (const std::vector<MeterObject>* list : {&telegram.objects, &telegram.texts, &telegram.others})
        for (const MeterObject& object : *list) {
            if (!object.is_valid || !is_match(object, selection))
                continue;
            std::optional<Picked> picked = to_picked(object);
            if (picked && (!best || picked->capture.value_or(0) > best->capture.value_or(0)))
                best = std::move(picked);
        }
    return best;
}

/// Valve and identifier of an M-Bus device.
std::optional<Picked> pick_device(const Telegram& telegram, const Selection& selection) {
    for (const MbusDevice& device : telegram.mbus) {
        const MbusMedium* medium = find_mbus_type(device.type);
        if (selection.channel != 0 && device.channel != selection.channel)
            continue;
        std::string channel = "0-" + std::to_string(device.channel) + ":";
        bool is_valve =
            (medium != nullptr && selection.name == medium->valve) || selection.obis == channel + "24.4.0";
        bool is_id = (medium != nullptr && selection.name == medium->id) ||
                     selection.obis == channel + "96.1.0" || selection.obis == channel + "96.1.1";
        Picked picked;
        if (is_valve && device.valve) {
            picked.number.value.mantissa = *device.valve;
            return picked;
        }
        if (is_id && !device.id.empty()) {
            picked.is_text = true;
            picked.text = device.id;
            return picked;
        }
    }
    return std::nullopt;
}

/// The sum of objects that are printed in one unit. Nothing if none is there, or units differ.
std::optional<Picked> sum(const Telegram& telegram, const std::vector<std::string>& codes, bool all) {
    std::optional<Picked> total;
    for (const std::string& code : codes) {
        std::optional<Picked> part = pick_object(telegram, {code, "", "", 0});
        if (!part || part->is_text) {
            if (all)
                return std::nullopt;
            continue;
        }
        if (!total) {
            total = std::move(part);
            continue;
        }
        std::optional<Decimal> value = add(total->number.value, part->number.value);
        if (!value || part->number.scale != total->number.scale)
            return std::nullopt;
        total->number.value = *value;
    }
    return total;
}

std::optional<Picked> pick_derived(const Telegram& telegram, const Selection& selection) {
    for (const char* code : {"1-0:1.8", "1-0:2.8"}) {
        const KnownObject* known = find_known_object(std::string(code) + ".0");
        if (selection.obis != known->obis && selection.name != known->name)
            continue;
        std::string tariff = std::string(code) + ".";
        return sum(telegram, {tariff + "1", tariff + "2", tariff + "3", tariff + "4"}, false);
    }
    if (selection.name != "powerNet")
        return std::nullopt;
    std::optional<Picked> import = pick_object(telegram, {"1-0:1.7.0", "", "", 0});
    std::optional<Picked> exported = pick_object(telegram, {"1-0:2.7.0", "", "", 0});
    if (!import || !exported || import->is_text || exported->is_text ||
        import->number.scale != exported->number.scale)
        return std::nullopt;
    std::optional<Decimal> minus = multiply(exported->number.value, {-1, 0});
    std::optional<Decimal> net = minus ? add(import->number.value, *minus) : std::nullopt;
    if (!net)
        return std::nullopt;
    import->number.value = *net;
    return import;
}

std::vector<Picked> pick_failures(const Telegram& telegram) {
    std::vector<Picked> all;
    for (const PowerFailure& failure : telegram.power_failures) {
        if (!failure.is_valid)
            continue;
        Picked picked;
        picked.number = {{failure.seconds, 0}, "s", find_scale("s")};
        picked.capture = failure.end.unix_seconds;
        all.push_back(std::move(picked));
    }
    return all;
}

std::vector<Picked> pick_peaks(const Telegram& telegram) {
    std::vector<Picked> all;
    for (const MeterObject& object : telegram.objects) {
        if (object.obis != peak_history)
            continue;
        for (const MeterEntry& entry : object.entries) {
            if (!entry.is_valid() || !entry.time)
                continue;
            Picked picked;
            picked.number = entry.number;
            picked.capture = entry.time->unix_seconds;
            all.push_back(std::move(picked));
        }
    }
    return all;
}

} // namespace

bool Selection::is_list() const {
    return obis == failure_log || obis == peak_history || name == "powerFailure" ||
           name == "powerDemandHistory";
}

bool is_derived_name(const std::string& name) {
    return name == "powerNet";
}

std::vector<Picked> pick(const Telegram& telegram, const Selection& selection) {
    if (selection.is_list()) {
        bool is_log = selection.obis == failure_log || selection.name == "powerFailure";
        std::vector<Picked> all = is_log ? pick_failures(telegram) : pick_peaks(telegram);
        std::stable_sort(all.begin(), all.end(),
                         [](const Picked& a, const Picked& b) { return a.capture < b.capture; });
        return all;
    }
    // What the meter says itself goes before what can be derived from it.
    std::optional<Picked> picked = pick_object(telegram, selection);
    if (!picked)
        picked = pick_device(telegram, selection);
    if (!picked)
        picked = pick_derived(telegram, selection);
    return picked ? std::vector<Picked>{std::move(*picked)} : std::vector<Picked>();
}

} // namespace things
