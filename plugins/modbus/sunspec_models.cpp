// SPDX-License-Identifier: Apache-2.0
#include "modbus/sunspec_models.hpp"

#include <algorithm>
#include <charconv>
#include <span>
#include <vector>

namespace things {

namespace {

enum class Kind : std::uint8_t { int16, uint16, uint32, acc32, bits32, float32, factor, text };

struct Row {
    const char* name;
    std::uint16_t offset;
    Kind kind;
    std::uint16_t factor = 0; // offset of the scale factor; 0: none
    std::uint16_t length = 0; // of texts
};

constexpr Row common[] = {
    {"Mn", 2, Kind::text, 0, 16}, {"Md", 18, Kind::text, 0, 16}, {"Opt", 34, Kind::text, 0, 8},
    {"Vr", 42, Kind::text, 0, 8}, {"SN", 50, Kind::text, 0, 16}, {"DA", 66, Kind::uint16},
};

constexpr Row inverter[] = {
    {"A", 2, Kind::uint16, 6},        {"AphA", 3, Kind::uint16, 6},     {"AphB", 4, Kind::uint16, 6},
    {"AphC", 5, Kind::uint16, 6},     {"A_SF", 6, Kind::factor},        {"PPVphAB", 7, Kind::uint16, 13},
    {"PPVphBC", 8, Kind::uint16, 13}, {"PPVphCA", 9, Kind::uint16, 13}, {"PhVphA", 10, Kind::uint16, 13},
    {"PhVphB", 11, Kind::uint16, 13}, {"PhVphC", 12, Kind::uint16, 13}, {"V_SF", 13, Kind::factor},
    {"W", 14, Kind::int16, 15},       {"W_SF", 15, Kind::factor},       {"Hz", 16, Kind::uint16, 17},
    {"Hz_SF", 17, Kind::factor},      {"VA", 18, Kind::int16, 19},      {"VA_SF", 19, Kind::factor},
    {"VAr", 20, Kind::int16, 21},     {"VAr_SF", 21, Kind::factor},     {"PF", 22, Kind::int16, 23},
    {"PF_SF", 23, Kind::factor},      {"WH", 24, Kind::acc32, 26},      {"WH_SF", 26, Kind::factor},
    {"DCA", 27, Kind::uint16, 28},    {"DCA_SF", 28, Kind::factor},     {"DCV", 29, Kind::uint16, 30},
    {"DCV_SF", 30, Kind::factor},     {"DCW", 31, Kind::int16, 32},     {"DCW_SF", 32, Kind::factor},
    {"TmpCab", 33, Kind::int16, 37},  {"TmpSnk", 34, Kind::int16, 37},  {"TmpTrns", 35, Kind::int16, 37},
    {"TmpOt", 36, Kind::int16, 37},   {"Tmp_SF", 37, Kind::factor},     {"St", 38, Kind::uint16},
    {"StVnd", 39, Kind::uint16},      {"Evt1", 40, Kind::bits32},       {"Evt2", 42, Kind::bits32},
    {"EvtVnd1", 44, Kind::bits32},    {"EvtVnd2", 46, Kind::bits32},    {"EvtVnd3", 48, Kind::bits32},
    {"EvtVnd4", 50, Kind::bits32},
};

constexpr Row float_inverter[] = {
    {"A", 2, Kind::float32},        {"AphA", 4, Kind::float32},     {"AphB", 6, Kind::float32},
    {"AphC", 8, Kind::float32},     {"PPVphAB", 10, Kind::float32}, {"PPVphBC", 12, Kind::float32},
    {"PPVphCA", 14, Kind::float32}, {"PhVphA", 16, Kind::float32},  {"PhVphB", 18, Kind::float32},
    {"PhVphC", 20, Kind::float32},  {"W", 22, Kind::float32},       {"Hz", 24, Kind::float32},
    {"VA", 26, Kind::float32},      {"VAr", 28, Kind::float32},     {"PF", 30, Kind::float32},
    {"WH", 32, Kind::float32},      {"DCA", 34, Kind::float32},     {"DCV", 36, Kind::float32},
    {"DCW", 38, Kind::float32},     {"TmpCab", 40, Kind::float32},  {"TmpSnk", 42, Kind::float32},
    {"TmpTrns", 44, Kind::float32}, {"TmpOt", 46, Kind::float32},   {"St", 48, Kind::uint16},
    {"StVnd", 49, Kind::uint16},    {"Evt1", 50, Kind::bits32},     {"Evt2", 52, Kind::bits32},
    {"EvtVnd1", 54, Kind::bits32},  {"EvtVnd2", 56, Kind::bits32},  {"EvtVnd3", 58, Kind::bits32},
    {"EvtVnd4", 60, Kind::bits32},
};

// Names of a meter in the order of its registers; a block of four is the total and the three phases.
struct MeterBlock {
    const char* names[4];
    std::uint16_t first;
    std::uint16_t factor; // of the integer models
    bool energy;
    std::uint16_t float_first;
};
constexpr MeterBlock meter_blocks[] = {
    {{"A", "AphA", "AphB", "AphC"}, 2, 6, false, 2},
    {{"PhV", "PhVphA", "PhVphB", "PhVphC"}, 7, 15, false, 10},
    {{"PPV", "PhVphAB", "PhVphBC", "PhVphCA"}, 11, 15, false, 18},
    {{"W", "WphA", "WphB", "WphC"}, 18, 22, false, 28},
    {{"VA", "VAphA", "VAphB", "VAphC"}, 23, 27, false, 36},
    {{"VAR", "VARphA", "VARphB", "VARphC"}, 28, 32, false, 44},
    {{"PF", "PFphA", "PFphB", "PFphC"}, 33, 37, false, 52},
    {{"TotWhExp", "TotWhExpPhA", "TotWhExpPhB", "TotWhExpPhC"}, 38, 54, true, 60},
    {{"TotWhImp", "TotWhImpPhA", "TotWhImpPhB", "TotWhImpPhC"}, 46, 54, true, 68},
    {{"TotVAhExp", "TotVAhExpPhA", "TotVAhExpPhB", "TotVAhExpPhC"}, 55, 71, true, 76},
    {{"TotVAhImp", "TotVAhImpPhA", "TotVAhImpPhB", "TotVAhImpPhC"}, 63, 71, true, 84},
    {{"TotVArhImpQ1", "TotVArhImpQ1PhA", "TotVArhImpQ1PhB", "TotVArhImpQ1PhC"}, 72, 104, true, 92},
    {{"TotVArhImpQ2", "TotVArhImpQ2PhA", "TotVArhImpQ2PhB", "TotVArhImpQ2PhC"}, 80, 104, true, 100},
    {{"TotVArhExpQ3", "TotVArhExpQ3PhA", "TotVArhExpQ3PhB", "TotVArhExpQ3PhC"}, 88, 104, true, 108},
    {{"TotVArhExpQ4", "TotVArhExpQ4PhA", "TotVArhExpQ4PhB", "TotVArhExpQ4PhC"}, 96, 104, true, 116},
};
constexpr Row meter_rest[] = {
    {"A_SF", 6, Kind::factor},       {"V_SF", 15, Kind::factor},        {"Hz", 16, Kind::int16, 17},
    {"Hz_SF", 17, Kind::factor},     {"W_SF", 22, Kind::factor},        {"VA_SF", 27, Kind::factor},
    {"VAR_SF", 32, Kind::factor},    {"PF_SF", 37, Kind::factor},       {"TotWh_SF", 54, Kind::factor},
    {"TotVAh_SF", 71, Kind::factor}, {"TotVArh_SF", 104, Kind::factor}, {"Evt", 105, Kind::bits32},
};
constexpr Row float_meter_rest[] = {{"Hz", 26, Kind::float32}, {"Evt", 124, Kind::bits32}};

constexpr Row mppt[] = {
    {"DCA_SF", 2, Kind::factor},  {"DCV_SF", 3, Kind::factor}, {"DCW_SF", 4, Kind::factor},
    {"DCWH_SF", 5, Kind::factor}, {"Evt", 6, Kind::bits32},    {"N", 8, Kind::uint16},
    {"TmsPer", 9, Kind::uint16},
};
// Offsets of module 1; the others follow every 20 registers.
constexpr std::uint16_t module_stride = 20;
constexpr unsigned most_modules = 100;
constexpr Row mppt_module[] = {
    {"ID", 10, Kind::uint16},     {"IDStr", 11, Kind::text, 0, 8}, {"DCA", 19, Kind::uint16, 2},
    {"DCV", 20, Kind::uint16, 3}, {"DCW", 21, Kind::uint16, 4},    {"DCWH", 22, Kind::acc32, 5},
    {"Tms", 24, Kind::uint32},    {"Tmp", 26, Kind::int16},        {"DCSt", 27, Kind::uint16},
    {"DCEvt", 28, Kind::bits32},
};

std::vector<Row> meter_rows(bool floats) {
    std::vector<Row> rows;
    for (const MeterBlock& block : meter_blocks)
        for (std::uint16_t i = 0; i < 4; ++i) {
            const std::uint16_t step = floats || block.energy ? 2 : 1;
            const auto offset =
                static_cast<std::uint16_t>((floats ? block.float_first : block.first) + i * step);
            const Kind kind = floats ? Kind::float32 : block.energy ? Kind::acc32 : Kind::int16;
            rows.push_back({block.names[i], offset, kind, floats ? std::uint16_t{0} : block.factor});
        }
    const std::span<const Row> rest =
        floats ? std::span<const Row>(float_meter_rest) : std::span<const Row>(meter_rest);
    rows.insert(rows.end(), rest.begin(), rest.end());
    return rows;
}

std::vector<Row> rows_of(unsigned model, bool module) {
    const auto copy = [](std::span<const Row> rows) {
        return std::vector<Row>(rows.begin(), rows.end());
    };
    if (model == 1)
        return copy(common);
    if (model >= 101 && model <= 103)
        return copy(inverter);
    if (model >= 111 && model <= 113)
        return copy(float_inverter);
    if (model >= 201 && model <= 204)
        return meter_rows(false);
    if (model >= 211 && model <= 214)
        return meter_rows(true);
    if (model == 160)
        return copy(module ? std::span<const Row>(mppt_module) : std::span<const Row>(mppt));
    return {};
}

RegisterFormat format_of(const Row& row) {
    RegisterFormat format;
    switch (row.kind) {
    case Kind::int16:
    case Kind::factor:
        format.type = RegisterType::int16;
        format.invalid = {std::int64_t{-32768}};
        break;
    case Kind::uint16:
        format.invalid = {std::int64_t{65535}};
        break;
    case Kind::uint32:
    case Kind::bits32:
        format.type = RegisterType::uint32;
        format.invalid = {std::int64_t{4294967295}};
        break;
    case Kind::acc32:
        format.type = RegisterType::uint32;
        format.invalid = {std::int64_t{0}};
        break;
    case Kind::float32:
        format.type = RegisterType::float32;
        break;
    case Kind::text:
        format.type = RegisterType::string;
        format.length = row.length;
        format.invalid = {std::string()};
        break;
    }
    return format;
}

std::optional<unsigned> number_of(std::string_view text) {
    unsigned value = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && stop == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

} // namespace

FoundPlace find_sunspec(std::string_view name) {
    const std::string quoted = "\"" + std::string(name) + "\"";
    const std::size_t dot = name.find('.');
    const auto model = dot == std::string_view::npos ? std::nullopt : number_of(name.substr(0, dot));
    if (!model)
        return {std::nullopt, quoted + " is not MODEL.POINT, such as 103.W"};
    std::string_view point = name.substr(dot + 1);
    unsigned module = 0;
    if (const std::size_t second = point.find('.'); second != std::string_view::npos) {
        module = number_of(point.substr(0, second)).value_or(0);
        if (*model != 160 || module < 1 || module > most_modules)
            return {std::nullopt, quoted + ": only model 160 has modules, as in 160.1.DCW"};
        point = point.substr(second + 1);
    }
    const std::vector<Row> rows = rows_of(*model, module > 0);
    if (rows.empty())
        return {std::nullopt, "SunSpec model " + std::to_string(*model) +
                                  " is not known; known are 1, 101-103, 111-113, 160, 201-204 and 211-214"};
    const auto row =
        std::find_if(rows.begin(), rows.end(), [point](const Row& r) { return point == r.name; });
    if (row == rows.end()) {
        std::string names;
        for (const Row& r : rows)
            names += (names.empty() ? "" : " ") + std::string(r.name);
        return {std::nullopt, "SunSpec model " + std::to_string(*model) + " has no point \"" +
                                  std::string(point) + "\"; it has: " + names};
    }
    SunspecPlace place;
    place.model = static_cast<std::uint16_t>(*model);
    place.offset = static_cast<std::uint16_t>(row->offset + (module > 0 ? (module - 1) * module_stride : 0U));
    if (row->factor != 0)
        place.factor = row->factor;
    place.format = format_of(*row);
    return {place, ""};
}

} // namespace things
