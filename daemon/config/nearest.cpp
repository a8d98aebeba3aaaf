// SPDX-License-Identifier: Apache-2.0
#include "config/nearest.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>

namespace things {

namespace {

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// Words of other gateways and data sheets for our keys.
struct Synonym {
    std::string_view word, key;
};
constexpr std::array synonyms{
    Synonym{"slave", "unit_id"},
    Synonym{"slave_id", "unit_id"},
    Synonym{"server_id", "unit_id"},
    Synonym{"station", "unit_id"},
    Synonym{"uuid", "dvnuuid"},
    Synonym{"device_id", "dvnuuid"},
    Synonym{"id", "dvnuuid"},
    Synonym{"password", "secret"},
    Synonym{"token", "secret"},
    Synonym{"shared_secret", "secret"},
    Synonym{"registers", "points"},
    Synonym{"datapoints", "points"},
    Synonym{"tags", "points"},
    Synonym{"bus", "source"},
    Synonym{"channel", "source"},
    Synonym{"connection", "source"},
    Synonym{"baudrate", "baud"},
    Synonym{"speed", "baud"},
    Synonym{"device", "port"},
    Synonym{"path", "port"},
    Synonym{"address", "holding"},
    Synonym{"register", "holding"},
    Synonym{"byte_order", "order"},
    Synonym{"word_order", "order"},
    Synonym{"endianness", "order"},
    Synonym{"factor", "scale"},
    Synonym{"multiplier", "scale"},
    Synonym{"gain", "scale"},
    Synonym{"data_type", "type"},
    Synonym{"datatype", "type"},
    Synonym{"poll_interval", "interval"},
    Synonym{"period", "interval"},
    Synonym{"rate", "interval"},
    Synonym{"ip", "host"},
    Synonym{"hostname", "host"},
    Synonym{"address", "host"},
    Synonym{"driver", "plugin"},
    Synonym{"protocol", "plugin"},
    Synonym{"type", "plugin"},
    Synonym{"template", "profile"},
    Synonym{"model", "profile"},
    Synonym{"uom", "unit"},
    Synonym{"read_only", "writable"},
    Synonym{"writeable", "writable"},
    Synonym{"port", "tcp_port"},
    Synonym{"dsmr", "p1"},
    Synonym{"p1", "dsmr"},
    Synonym{"rtu", "modbus"},
    Synonym{"tcp", "modbus"},
    Synonym{"modbus_rtu", "modbus"},
    Synonym{"modbus_tcp", "modbus"},
    Synonym{"modbus-rtu", "modbus"},
    Synonym{"modbus-tcp", "modbus"},
    Synonym{"N", "none"},
    Synonym{"E", "even"},
    Synonym{"O", "odd"},
    Synonym{"int", "int16"},
    Synonym{"integer", "int16"},
    Synonym{"uint", "uint16"},
    Synonym{"short", "int16"},
    Synonym{"word", "uint16"},
    Synonym{"dword", "uint32"},
    Synonym{"double", "float64"},
    Synonym{"real", "float32"},
    Synonym{"big", "ABCD"},
    Synonym{"little", "DCBA"},
    Synonym{"swapped", "CDAB"},
};

// Edit distance with swapped neighbours as one slip; upper and lower case are the same.
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), now(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j)
        last[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        now[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const bool same = lower(a[i - 1]) == lower(b[j - 1]);
            now[j] = std::min({last[j] + 1, now[j - 1] + 1, last[j - 1] + (same ? 0U : 1U)});
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]))
                now[j] = std::min(now[j], before[j - 2] + 1);
        }
        std::swap(before, last);
        std::swap(last, now);
    }
    return last[b.size()];
}

// Of many candidates the first few that contain the word: "energy" for "energyImport".
std::string holders(std::string_view wrong, const std::vector<std::string_view>& candidates) {
    constexpr std::size_t most = 6;
    std::vector<std::string_view> found;
    for (const std::string_view candidate : candidates)
        if (wrong.size() >= 3 && found.size() < most && candidate.find(wrong) != std::string_view::npos)
            found.push_back(candidate);
    return found.empty() ? std::string() : fmt::format(", among them {}", fmt::join(found, ", "));
}

} // namespace

std::string nearest(std::string_view wrong, const std::vector<std::string_view>& candidates) {
    // The distance takes time with the product of both lengths.
    if (wrong.empty() || wrong.size() > 64)
        return {};
    std::string_view best;
    std::size_t least = std::numeric_limits<std::size_t>::max();
    for (const std::string_view candidate : candidates) {
        if (candidate.size() > 64)
            continue;
        const std::size_t found = distance(wrong, candidate);
        if (found < least) {
            least = found;
            best = candidate;
        }
    }
    // A third of the letters may be wrong: beyond that a hint misleads.
    if (!best.empty() && least <= std::max<std::size_t>(1, std::max(wrong.size(), best.size()) / 3))
        return std::string(best);
    for (const Synonym& synonym : synonyms)
        if (synonym.word == wrong &&
            std::find(candidates.begin(), candidates.end(), synonym.key) != candidates.end())
            return std::string(synonym.key);
    // "sdm120" for "eastron-sdm120", "warn" for "warning": the only one that contains it.
    std::string_view holder;
    for (const std::string_view candidate : candidates) {
        if (wrong.size() < 3 || candidate.find(wrong) == std::string_view::npos)
            continue;
        if (!holder.empty())
            return {};
        holder = candidate;
    }
    return std::string(holder);
}

std::string hint(std::string_view wrong, const std::vector<std::string_view>& candidates) {
    const std::string near = nearest(wrong, candidates);
    const std::size_t colon = wrong.find(':');
    const std::string_view key = wrong.substr(0, colon);
    if (colon != std::string_view::npos &&
        std::find(candidates.begin(), candidates.end(), key) != candidates.end())
        return fmt::format("; a colon needs a space behind it: \"{}: {}\"", key, wrong.substr(colon + 1));
    if (!near.empty())
        return fmt::format("; did you mean \"{}\"?", near);
    if (candidates.empty())
        return {};
    constexpr std::size_t most = 40;
    if (candidates.size() > most)
        return fmt::format("; {} are known{}", candidates.size(), holders(wrong, candidates));
    return fmt::format("; known here: {}", fmt::join(candidates, ", "));
}

std::string hint(std::string_view wrong, const std::vector<std::string>& candidates) {
    return hint(wrong, std::vector<std::string_view>(candidates.begin(), candidates.end()));
}

} // namespace things
