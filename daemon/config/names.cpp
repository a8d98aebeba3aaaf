// SPDX-License-Identifier: Apache-2.0
#include "config/names.hpp"

#include "config/nearest.hpp"
#include "config/section.hpp"
#include "config/unseen.hpp"
#include "model/senml.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <arpa/inet.h>
#include <array>

namespace things {

namespace {

bool is_alphanumeric(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_hexadecimal(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

bool is_name_of(std::string_view name, std::string_view more, std::size_t most, std::string& why) {
    if (name.empty() || !is_alphanumeric(name.front())) {
        why = "it must begin with a letter or a digit";
        return false;
    }
    const auto bad = std::find_if(name.begin(), name.end(), [more](char c) {
        return !is_alphanumeric(c) && more.find(c) == std::string_view::npos;
    });
    if (bad != name.end()) {
        std::string instead = drop_unseen(name);
        for (std::size_t i = 0; i < instead.size(); ++i)
            if (!is_alphanumeric(instead[i]) && more.find(instead[i]) == std::string_view::npos)
                instead[i] = '_';
        instead.erase(
            std::unique(instead.begin(), instead.end(), [](char a, char b) { return a == '_' && b == '_'; }),
            instead.end());
        why = fmt::format("only letters, digits and {} are allowed; write {} for example", more,
                          quote(instead));
        return false;
    }
    if (name.size() > most)
        why = fmt::format("it is longer than {} characters", most);
    return name.size() <= most;
}

// protocol.md 8.3: primary and secondary units.
constexpr std::array units{
    "m",   "kg",   "g",     "s",    "A",     "K",     "cd",    "mol",      "Hz",    "rad",  "sr",    "N",
    "Pa",  "J",    "W",     "C",    "V",     "F",     "Ohm",   "S",        "Wb",    "T",    "H",     "Cel",
    "lm",  "lx",   "Bq",    "Gy",   "Sv",    "kat",   "m2",    "m3",       "l",     "m/s",  "m/s2",  "m3/s",
    "l/s", "W/m2", "cd/m2", "bit",  "bit/s", "lat",   "lon",   "pH",       "dB",    "dBW",  "Bspl",  "count",
    "/",   "%",    "%RH",   "%EL",  "EL",    "1/s",   "1/min", "beat/min", "beats", "S/m",  "B",     "VA",
    "VAs", "var",  "vars",  "J/m",  "kg/m3", "deg",   "NTU",   "ms",       "min",   "h",    "MHz",   "kW",
    "kVA", "kvar", "Ah",    "Wh",   "kWh",   "varh",  "kvarh", "kVAh",     "Wh/km", "KiB",  "GB",    "Mbit/s",
    "B/s", "MB/s", "mV",    "mA",   "dBm",   "ug/m3", "mm/h",  "m/h",      "ppm",   "/100", "/1000", "hPa",
    "mm",  "cm",   "km",    "km/h", "ppb",   "ppt",   "VAh",   "mg/l",     "ug/l",  "g/l"};

struct Spelling {
    std::string_view written, unit;
};
// What people write, and the unit they mean; an error names it.
constexpr std::array spellings{
    Spelling{"\u00b0C", "Cel"},
    Spelling{"degC", "Cel"},
    Spelling{"celsius", "Cel"},
    Spelling{"Celsius", "Cel"},
    Spelling{"oC", "Cel"},
    Spelling{"\u00b0", "deg"},
    Spelling{"degrees", "deg"},
    Spelling{"\u03a9", "Ohm"},
    Spelling{"ohm", "Ohm"},
    Spelling{"m\u00b3", "m3"},
    Spelling{"m\u00b2", "m2"},
    Spelling{"rpm", "1/min"},
    Spelling{"RPM", "1/min"},
    Spelling{"percent", "/100"},
    Spelling{"pct", "/100"},
    Spelling{"lux", "lx"},
    Spelling{"sec", "s"},
    Spelling{"seconds", "s"},
    Spelling{"hours", "h"},
    Spelling{"minutes", "min"},
    Spelling{"volt", "V"},
    Spelling{"Volt", "V"},
    Spelling{"watt", "W"},
    Spelling{"Watt", "W"},
    Spelling{"ampere", "A"},
    Spelling{"Amp", "A"},
    Spelling{"VAr", "var"},
    Spelling{"VAR", "var"},
    Spelling{"kVAr", "kvar"},
    Spelling{"kVAR", "kvar"},
    Spelling{"kVArh", "kvarh"},
    Spelling{"kwh", "kWh"},
    Spelling{"KWh", "kWh"},
    Spelling{"mbar", "hPa"},
    Spelling{"%rH", "%RH"},
    Spelling{"rH", "%RH"},
    Spelling{"RH", "%RH"},
    Spelling{"\u00b5g/m3", "ug/m3"},
    Spelling{"W/m\u00b2", "W/m2"},
    Spelling{"liter", "l"},
    Spelling{"L", "l"},
    Spelling{"pieces", "count"},
    Spelling{"pcs", "count"},
    Spelling{"Vs", "VAs"},
};

} // namespace

bool is_senml_name(std::string_view name, std::string& why) {
    return is_name_of(name, "-:./_", longest_senml_name, why);
}

bool is_plain_name(std::string_view name, std::string& why) {
    return is_name_of(name, "-_.", 64, why);
}

bool is_uuid(std::string_view text) {
    if (text.size() != 36)
        return false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (is_dash ? text[i] != '-' : !is_hexadecimal(text[i]))
            return false;
    }
    return true;
}

bool is_uuid_version_4(std::string_view uuid) {
    constexpr std::string_view variants = "89abAB";
    return is_uuid(uuid) && uuid[14] == '4' && variants.find(uuid[19]) != std::string_view::npos;
}

namespace {

bool is_ipv6(const std::string& text) {
    in6_addr address{};
    return ::inet_pton(AF_INET6, text.c_str(), &address) == 1;
}

bool is_ipv4(const std::string& text) {
    in_addr address{};
    return ::inet_pton(AF_INET, text.c_str(), &address) == 1;
}

bool is_digits(std::string_view text) {
    return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

std::string why_no_ipv6(const std::string& text, std::string_view port_key) {
    const std::size_t percent = text.find('%');
    const std::string address = text.substr(0, percent);
    if (text.front() == '[') {
        const std::size_t end = text.find(']');
        const std::string inside = text.substr(1, end == std::string::npos ? end : end - 1);
        return fmt::format("brackets belong in a URL; write {} alone, and the port as {}", quote(inside),
                           port_key);
    }
    if (!is_ipv6(address))
        return "it is not an IPv6 address such as 2001:db8::20";
    const bool is_link_local = address.size() > 3 && (address[0] == 'f' || address[0] == 'F') &&
                               (address[1] == 'e' || address[1] == 'E') &&
                               std::string_view("89abAB").find(address[2]) != std::string_view::npos;
    if (is_link_local && (percent == std::string::npos || percent + 1 == text.size()))
        return fmt::format(
            "a link-local address needs its interface; write {} with the one it is on (`ip link` "
            "lists them)",
            quote(address + "%eth0"));
    return {};
}

} // namespace

bool is_host(const std::string& text, std::string_view port_key, std::string& why) {
    const std::size_t colon = text.find(':');
    const bool is_numeric = text.find_first_not_of("0123456789.") == std::string::npos;
    why.clear();
    if (const std::size_t scheme = text.find("://"); scheme != std::string::npos) {
        const std::string rest = text.substr(scheme + 3);
        why = fmt::format("this is a URL; write the name or address alone, as {}, and the port as {}",
                          quote(rest.substr(0, rest.find_first_of(":/"))), port_key);
    } else if (text.front() == '[' ||
               (colon != std::string::npos && text.find(':', colon + 1) != std::string::npos))
        why = why_no_ipv6(text, port_key);
    else if (colon != std::string::npos && is_digits(text.substr(colon + 1)))
        why = fmt::format("the port has a key of its own; write host: {}, {}: {}", text.substr(0, colon),
                          port_key, text.substr(colon + 1));
    else if (is_numeric && !is_ipv4(text))
        // A resolver takes 192.168.1 for 192.168.0.1, and 010 for 8.
        why =
            "it is not an IPv4 address such as 192.0.2.20: four numbers from 0 to 255, without leading zeros";
    else if (text.size() > 253)
        why = "it is longer than 253 characters";
    else if (text.find_first_of(" \t\"'<>\\/:@[]{}(),;?#%") != std::string::npos || find_unseen(text))
        why = "it is neither a name nor an address; write it alone, such as plc.local or 192.0.2.20";
    return why.empty();
}

bool is_senml_unit(std::string_view unit) {
    return std::find(units.begin(), units.end(), unit) != units.end();
}

std::string nearest_unit(std::string_view wrong) {
    for (const Spelling& spelling : spellings)
        if (spelling.written == wrong)
            return std::string(spelling.unit);
    return nearest(wrong, {units.begin(), units.end()});
}

std::string unit_remark(std::string_view unit) {
    // Both are SenML units, with another meaning than most expect.
    if (unit == "%")
        return "unit \"%\" is a ratio from 0 to 1 in SenML; for 0 to 100 use \"/100\", or %RH for humidity "
               "and %EL for a "
               "battery";
    if (unit == "C")
        return "unit \"C\" is coulomb in SenML; for degrees Celsius use \"Cel\"";
    return {};
}

} // namespace things
