// SPDX-License-Identifier: Apache-2.0
#include "modbus/modbus_scan.hpp"
#include "modbus/register_value.hpp"

#include <array>
#include <charconv>
#include <cmath>

// What some registers could mean: every type and order that they are enough for.
namespace things {

namespace {

constexpr std::array types{RegisterType::int16,   RegisterType::uint16, RegisterType::bcd16,
                           RegisterType::int32,   RegisterType::uint32, RegisterType::bcd32,
                           RegisterType::float32, RegisterType::int64,  RegisterType::uint64,
                           RegisterType::float64};
constexpr std::array orders{RegisterOrder::abcd, RegisterOrder::cdab, RegisterOrder::badc,
                            RegisterOrder::dcba};

std::string number_text(double value) {
    std::array<char, 40> text{};
    return {text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr};
}

struct ToJson {
    std::string operator()(std::monostate) const { return "null"; }
    std::string operator()(bool value) const { return value ? "true" : "false"; }
    std::string operator()(std::int64_t value) const { return std::to_string(value); }
    std::string operator()(std::uint64_t value) const { return std::to_string(value); }
    std::string operator()(double value) const { return number_text(value); }
    std::string operator()(const std::string& value) const {
        std::string text = "\"";
        for (const char c : value)
            text += c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
        return text + "\"";
    }
};

// A measurement is rarely tiny, huge or denormal; a float read in the wrong order nearly always is.
bool is_plausible(const RegisterValue& value) {
    if (const auto* number = std::get_if<double>(&value))
        return *number == 0 || (std::fabs(*number) >= 1e-4 && std::fabs(*number) < 1e9);
    if (const auto* integer = std::get_if<std::int64_t>(&value))
        return *integer > -1000000000 && *integer < 4000000000;
    return false;
}

std::string line_of(const RegisterFormat& format, const char* order, const RegisterValue& value) {
    return std::string("{\"type\":\"") + type_name(format.type) + "\",\"order\":\"" + order +
           "\",\"value\":" + std::visit(ToJson{}, value) +
           ",\"plausible\":" + (is_plausible(value) ? "true" : "false") + "}";
}

} // namespace

std::vector<std::string> explain_words(const std::vector<std::uint16_t>& words) {
    std::vector<std::string> lines;
    for (const RegisterType type : types)
        for (const RegisterOrder order : orders) {
            RegisterFormat format;
            format.type = type;
            format.order = order;
            const std::size_t count = register_count(format);
            const bool same = count == 1 && (order == RegisterOrder::cdab || order == RegisterOrder::dcba);
            if (words.size() < count || same)
                continue;
            const Decoded decoded = decode(format, std::span(words).first(count));
            if (!decoded.why_not)
                lines.push_back(line_of(format, order_name(order), decoded.value));
        }
    for (const RegisterOrder order : {RegisterOrder::abcd, RegisterOrder::badc}) {
        RegisterFormat format;
        format.type = RegisterType::string;
        format.order = order;
        format.length = static_cast<std::uint16_t>(words.size());
        const RegisterValue text = decode(format, words).value;
        if (const auto* it = std::get_if<std::string>(&text);
            it && !it->empty() && it->find('?') == std::string::npos)
            lines.push_back(line_of(format, order_name(order), text));
    }
    return lines;
}

} // namespace things
