// SPDX-License-Identifier: Apache-2.0
#include "polling/plugin_config.hpp"

#include "platform/printable.hpp"
#include "things_utf8.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

namespace things {

namespace {

things_value text_value(const std::string& text) {
    things_value value{};
    value.kind = THINGS_TEXT;
    value.length = static_cast<std::uint32_t>(text.size());
    value.text = text.c_str();
    return value;
}

struct ToPlugin {
    things_value operator()(std::monostate) const { return things_value{}; }
    things_value operator()(bool b) const {
        things_value value{};
        value.kind = THINGS_BOOL;
        value.i = b ? 1 : 0;
        return value;
    }
    things_value operator()(std::int64_t i) const {
        things_value value{};
        value.kind = THINGS_INT;
        value.i = i;
        return value;
    }
    things_value operator()(std::uint64_t u) const {
        things_value value{};
        value.kind = THINGS_UINT;
        value.u = u;
        return value;
    }
    things_value operator()(double d) const {
        things_value value{};
        value.kind = THINGS_NUMBER;
        value.d = d;
        return value;
    }
    things_value operator()(const std::string& text) const { return text_value(text); }
};

std::uint32_t count_of(std::size_t size) {
    return static_cast<std::uint32_t>(size);
}

things_setting convert(const Setting& setting, std::deque<std::vector<things_value>>& items) {
    things_setting result{};
    result.size = sizeof result;
    result.key = setting.key.c_str();
    result.value = std::visit(ToPlugin(), setting.value);
    std::vector<things_value> values;
    for (const Scalar& item : setting.items)
        values.push_back(std::visit(ToPlugin(), item));
    result.item_count = count_of(values.size());
    // A deque: pointers into what is there already stay good.
    items.push_back(std::move(values));
    result.items = items.back().data();
    return result;
}

} // namespace

PluginConfig::PluginConfig(const SourceWork& work) {
    for (const SourceDevice& device : work.devices) {
        things_device result{};
        result.size = sizeof result;
        result.name = device.name.c_str();
        result.setting_count = count_of(device.settings.size());
        result.settings = add(device.settings);
        devices_.push_back(result);
        device_list_.push_back(&devices_.back());
    }
    for (const SourcePoint& point : work.points) {
        things_point result{};
        result.size = sizeof result;
        result.device = point.device;
        result.name = point.config.name.c_str();
        result.unit = point.config.unit.c_str();
        result.interval_ms = point.config.interval.count();
        // Whether writes are switched on is the router's to know: the switch must not restart the source.
        result.writable = writable_flags(point.config);
        result.setting_count = count_of(point.config.settings.size());
        result.settings = add(point.config.settings);
        points_.push_back(result);
        point_list_.push_back(&points_.back());
    }
    config_.size = sizeof config_;
    config_.name = work.config.name.c_str();
    config_.setting_count = count_of(work.config.settings.size());
    config_.settings = add(work.config.settings);
    config_.device_count = count_of(devices_.size());
    config_.devices = device_list_.data();
    config_.point_count = count_of(points_.size());
    config_.points = point_list_.data();
}

const things_setting* const* PluginConfig::add(const std::vector<Setting>& settings) {
    std::vector<const things_setting*> list;
    for (const Setting& setting : settings) {
        settings_.push_back(convert(setting, items_));
        list.push_back(&settings_.back());
    }
    lists_.push_back(std::move(list));
    return lists_.back().data();
}

SettingList::SettingList(const std::vector<Setting>& settings) {
    for (const Setting& setting : settings) {
        settings_.push_back(convert(setting, items_));
        list_.push_back(&settings_.back());
    }
}

things_value to_plugin(const Value& value) {
    return std::visit(ToPlugin(), value);
}

std::optional<Value> from_plugin(const things_value& value, std::string& why) {
    Value result;
    switch (value.kind) {
    case THINGS_BOOL:
        result = value.i != 0;
        break;
    case THINGS_INT:
        result = value.i;
        break;
    case THINGS_UINT:
        result = value.u;
        break;
    case THINGS_NUMBER:
        result = value.d;
        break;
    case THINGS_TEXT:
        if (value.text == nullptr || value.length > longest_value) {
            why = value.text == nullptr
                      ? "a text that is null"
                      : fmt::format("a text of {} bytes (at most {} are taken)", value.length, longest_value);
            return std::nullopt;
        }
        result = std::string(value.text, value.length);
        break;
    default:
        why = fmt::format("a value of unknown kind {}", value.kind);
        return std::nullopt;
    }
    if (!is_sound(result, why))
        return std::nullopt;
    return result;
}

bool is_sound(const Value& value, std::string& why) {
    if (const auto* number = std::get_if<double>(&value); number != nullptr && !std::isfinite(*number)) {
        why = "a number that is not finite";
        return false;
    }
    const auto* text = std::get_if<std::string>(&value);
    if (text == nullptr)
        return true;
    if (text->size() > longest_value) {
        why = fmt::format("a text of {} bytes (at most {} are taken)", text->size(), longest_value);
        return false;
    }
    if (!is_utf8(*text) || text->find('\0') != std::string::npos) {
        why = "a text that is not UTF-8";
        return false;
    }
    return true;
}

bool is_utf8(std::string_view text) {
    while (!text.empty()) {
        const std::size_t length = utf8_length(text);
        if (length == 0)
            return false;
        text.remove_prefix(length);
    }
    return true;
}

std::uint32_t writable_flags(const PointConfig& point) {
    std::uint32_t flags = 0;
    if (point.writable)
        flags |= THINGS_WRITABLE;
    if (point.write_only)
        flags |= THINGS_WRITE_ONLY;
    if (point.writable && point.writable->momentary)
        flags |= THINGS_MOMENTARY;
    return flags;
}

void set_writable(PointConfig& point, std::uint32_t flags) {
    if ((flags & THINGS_WRITABLE) != 0)
        point.writable.emplace().momentary = (flags & THINGS_MOMENTARY) != 0;
    point.write_only = (flags & THINGS_WRITE_ONLY) != 0;
}

std::string clean_text(const char* text, std::size_t most) {
    if (text == nullptr)
        return {};
    std::string_view rest(text, strnlen(text, most));
    std::string result;
    while (!rest.empty()) {
        const LeadingCharacter next = leading_character(rest);
        if (next.is_printable)
            result.append(rest, 0, next.length);
        else
            result += '?';
        rest.remove_prefix(next.length);
    }
    return result;
}

} // namespace things
