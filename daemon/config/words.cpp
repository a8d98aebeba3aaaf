// SPDX-License-Identifier: Apache-2.0
#include "config/words.hpp"

#include "config/document.hpp"
#include "config/scalar.hpp"

#include <fmt/format.h>

#include <array>

namespace things {

namespace {

bool is_plain_character(char c) {
    constexpr std::string_view others = "-_./+%";
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           others.find(c) != std::string_view::npos;
}

// Whether YAML takes it for text without quotes, ours and everybody else's.
bool is_plain_text(std::string_view text) {
    if (text.empty() || parse_boolean(text) || parse_number(text))
        return false;
    // What another YAML reader may take for a number, a date or an octal one.
    constexpr std::string_view first_not = "-+.%0123456789";
    if (first_not.find(text.front()) != std::string_view::npos &&
        text.find_first_not_of("0123456789.eExX+-_") == std::string_view::npos)
        return false;
    if (text.front() == '%' || text.front() == '-')
        return false;
    for (const std::string_view word : {"null", "Null", "NULL", "y", "n", "Y", "N", "NO", "YES", "OFF", "ON"})
        if (text == word)
            return false;
    for (const char c : text)
        if (!is_plain_character(c))
            return false;
    return true;
}

} // namespace

std::string json_text(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\')
            out += '\\';
        if (byte < 0x20 || byte == 0x7f)
            out += fmt::format("\\u{:04x}", byte);
        else
            out += c;
    }
    return out + "\"";
}

std::string yaml_text(std::string_view text) {
    return is_plain_text(text) ? std::string(text) : json_text(text); // JSON strings are YAML
}

std::string yaml_scalar(const Scalar& scalar) {
    struct Show {
        std::string operator()(std::monostate) const { return "null"; }
        std::string operator()(bool value) const { return value ? "true" : "false"; }
        std::string operator()(std::int64_t value) const { return std::to_string(value); }
        std::string operator()(std::uint64_t value) const { return std::to_string(value); }
        std::string operator()(double value) const { return fmt::format("{}", value); }
        std::string operator()(const std::string& value) const { return yaml_text(value); }
    };
    return std::visit(Show{}, scalar);
}

std::string yaml_value(const Value& value) {
    return std::visit([](const auto& held) { return yaml_scalar(Scalar(held)); }, value);
}

std::string yaml_setting(const Setting& setting, const KeyDescription* key) {
    if (setting.secret)
        return "MASKED";
    const SettingType type = key ? key->type : SettingType::text;
    if (type == SettingType::list || type == SettingType::map) {
        std::string out;
        for (std::size_t i = 0; i < setting.items.size(); ++i) {
            const bool is_value = type == SettingType::map && i % 2 == 1;
            out += i == 0 ? "" : is_value ? ": " : ", ";
            out += yaml_scalar(setting.items[i]);
        }
        return type == SettingType::list ? fmt::format("[{}]", out) : fmt::format("{{{}}}", out);
    }
    if (const auto* ms = std::get_if<std::int64_t>(&setting.value); ms && type == SettingType::duration)
        return duration_text(*ms);
    return yaml_scalar(setting.value);
}

std::string bytes_text(double bytes) {
    constexpr std::array units{"B", "kB", "MB", "GB", "TB"};
    std::size_t unit = 0;
    for (; bytes >= 999.5 && unit + 1 < units.size(); ++unit)
        bytes /= 1000;
    return unit == 0 || bytes >= 99.5 ? fmt::format("{:.0f} {}", bytes, units[unit])
                                      : fmt::format("{:.1f} {}", bytes, units[unit]);
}

} // namespace things
