// SPDX-License-Identifier: Apache-2.0
// Made by packaging/make-profiles from packaging/devices/sunspec-*.yaml: correct the maps there.
#pragma once

#include "modbus/register_value.hpp"

#include <cstdint>
#include <optional>
#include <span>

// The points of the SunSpec models that the plugin knows. Constant; read by sunspec_models.cpp only.
namespace things {

/// One point: its offset from the id register of the model, the raw value that means "not there", and the
/// offset of its scale factor (0: it has none).
struct SunspecRow {
    const char* name;
    std::uint16_t offset;
    RegisterType type;
    std::optional<std::int64_t> invalid;
    std::uint16_t factor;
    std::uint16_t length; ///< of a string, in registers
};
/// Models that share their points; `block` repeats every `stride` registers.
struct SunspecModels {
    std::uint16_t first, last;
    std::span<const SunspecRow> rows, block;
    std::uint16_t stride;
};

// clang-format off
inline constexpr std::optional<std::int64_t> none;

inline constexpr SunspecRow model_1[] = {
    {"Mn", 2, RegisterType::string, none, 0, 16},
    {"Md", 18, RegisterType::string, none, 0, 16},
    {"Opt", 34, RegisterType::string, none, 0, 8},
    {"Vr", 42, RegisterType::string, none, 0, 8},
    {"SN", 50, RegisterType::string, none, 0, 16},
    {"DA", 66, RegisterType::uint16, 65535, 0, 0},
};

inline constexpr SunspecRow model_101[] = {
    {"A", 2, RegisterType::uint16, 65535, 6, 0},
    {"AphA", 3, RegisterType::uint16, 65535, 6, 0},
    {"AphB", 4, RegisterType::uint16, 65535, 6, 0},
    {"AphC", 5, RegisterType::uint16, 65535, 6, 0},
    {"A_SF", 6, RegisterType::int16, -32768, 0, 0},
    {"PPVphAB", 7, RegisterType::uint16, 65535, 13, 0},
    {"PPVphBC", 8, RegisterType::uint16, 65535, 13, 0},
    {"PPVphCA", 9, RegisterType::uint16, 65535, 13, 0},
    {"PhVphA", 10, RegisterType::uint16, 65535, 13, 0},
    {"PhVphB", 11, RegisterType::uint16, 65535, 13, 0},
    {"PhVphC", 12, RegisterType::uint16, 65535, 13, 0},
    {"V_SF", 13, RegisterType::int16, -32768, 0, 0},
    {"W", 14, RegisterType::int16, -32768, 15, 0},
    {"W_SF", 15, RegisterType::int16, -32768, 0, 0},
    {"Hz", 16, RegisterType::uint16, 65535, 17, 0},
    {"Hz_SF", 17, RegisterType::int16, -32768, 0, 0},
    {"VA", 18, RegisterType::int16, -32768, 19, 0},
    {"VA_SF", 19, RegisterType::int16, -32768, 0, 0},
    {"VAr", 20, RegisterType::int16, -32768, 21, 0},
    {"VAr_SF", 21, RegisterType::int16, -32768, 0, 0},
    {"PF", 22, RegisterType::int16, -32768, 23, 0},
    {"PF_SF", 23, RegisterType::int16, -32768, 0, 0},
    {"WH", 24, RegisterType::uint32, 0, 26, 0},
    {"WH_SF", 26, RegisterType::int16, -32768, 0, 0},
    {"DCA", 27, RegisterType::uint16, 65535, 28, 0},
    {"DCA_SF", 28, RegisterType::int16, -32768, 0, 0},
    {"DCV", 29, RegisterType::uint16, 65535, 30, 0},
    {"DCV_SF", 30, RegisterType::int16, -32768, 0, 0},
    {"DCW", 31, RegisterType::int16, -32768, 32, 0},
    {"DCW_SF", 32, RegisterType::int16, -32768, 0, 0},
    {"TmpCab", 33, RegisterType::int16, -32768, 37, 0},
    {"TmpSnk", 34, RegisterType::int16, -32768, 37, 0},
    {"Tmp_SF", 37, RegisterType::int16, -32768, 0, 0},
    {"St", 38, RegisterType::uint16, 65535, 0, 0},
    {"StVnd", 39, RegisterType::uint16, 65535, 0, 0},
    {"Evt1", 40, RegisterType::uint32, 4294967295, 0, 0},
    {"TmpTrns", 35, RegisterType::int16, -32768, 37, 0},
    {"TmpOt", 36, RegisterType::int16, -32768, 37, 0},
    {"Evt2", 42, RegisterType::uint32, 4294967295, 0, 0},
    {"EvtVnd1", 44, RegisterType::uint32, 4294967295, 0, 0},
    {"EvtVnd2", 46, RegisterType::uint32, 4294967295, 0, 0},
    {"EvtVnd3", 48, RegisterType::uint32, 4294967295, 0, 0},
    {"EvtVnd4", 50, RegisterType::uint32, 4294967295, 0, 0},
};

inline constexpr SunspecRow model_111[] = {
    {"A", 2, RegisterType::float32, none, 0, 0},
    {"AphA", 4, RegisterType::float32, none, 0, 0},
    {"AphB", 6, RegisterType::float32, none, 0, 0},
    {"AphC", 8, RegisterType::float32, none, 0, 0},
    {"PPVphAB", 10, RegisterType::float32, none, 0, 0},
    {"PPVphBC", 12, RegisterType::float32, none, 0, 0},
    {"PPVphCA", 14, RegisterType::float32, none, 0, 0},
    {"PhVphA", 16, RegisterType::float32, none, 0, 0},
    {"PhVphB", 18, RegisterType::float32, none, 0, 0},
    {"PhVphC", 20, RegisterType::float32, none, 0, 0},
    {"W", 22, RegisterType::float32, none, 0, 0},
    {"Hz", 24, RegisterType::float32, none, 0, 0},
    {"VA", 26, RegisterType::float32, none, 0, 0},
    {"VAr", 28, RegisterType::float32, none, 0, 0},
    {"PF", 30, RegisterType::float32, none, 0, 0},
    {"WH", 32, RegisterType::float32, none, 0, 0},
    {"DCA", 34, RegisterType::float32, none, 0, 0},
    {"DCV", 36, RegisterType::float32, none, 0, 0},
    {"DCW", 38, RegisterType::float32, none, 0, 0},
    {"TmpCab", 40, RegisterType::float32, none, 0, 0},
    {"TmpSnk", 42, RegisterType::float32, none, 0, 0},
    {"TmpTrns", 44, RegisterType::float32, none, 0, 0},
    {"TmpOt", 46, RegisterType::float32, none, 0, 0},
    {"St", 48, RegisterType::uint16, 65535, 0, 0},
    {"StVnd", 49, RegisterType::uint16, 65535, 0, 0},
    {"Evt1", 50, RegisterType::uint32, 4294967295, 0, 0},
    {"Evt2", 52, RegisterType::uint32, 4294967295, 0, 0},
    {"EvtVnd1", 54, RegisterType::uint32, 4294967295, 0, 0},
    {"EvtVnd2", 56, RegisterType::uint32, 4294967295, 0, 0},
    {"EvtVnd3", 58, RegisterType::uint32, 4294967295, 0, 0},
    {"EvtVnd4", 60, RegisterType::uint32, 4294967295, 0, 0},
};

inline constexpr SunspecRow model_201[] = {
    {"A", 2, RegisterType::int16, -32768, 6, 0},
    {"AphA", 3, RegisterType::int16, -32768, 6, 0},
    {"AphB", 4, RegisterType::int16, -32768, 6, 0},
    {"AphC", 5, RegisterType::int16, -32768, 6, 0},
    {"A_SF", 6, RegisterType::int16, -32768, 0, 0},
    {"PhV", 7, RegisterType::int16, -32768, 15, 0},
    {"PhVphA", 8, RegisterType::int16, -32768, 15, 0},
    {"PhVphB", 9, RegisterType::int16, -32768, 15, 0},
    {"PhVphC", 10, RegisterType::int16, -32768, 15, 0},
    {"PPV", 11, RegisterType::int16, -32768, 15, 0},
    {"PhVphAB", 12, RegisterType::int16, -32768, 15, 0},
    {"PhVphBC", 13, RegisterType::int16, -32768, 15, 0},
    {"PhVphCA", 14, RegisterType::int16, -32768, 15, 0},
    {"V_SF", 15, RegisterType::int16, -32768, 0, 0},
    {"Hz", 16, RegisterType::int16, -32768, 17, 0},
    {"Hz_SF", 17, RegisterType::int16, -32768, 0, 0},
    {"W", 18, RegisterType::int16, -32768, 22, 0},
    {"WphA", 19, RegisterType::int16, -32768, 22, 0},
    {"WphB", 20, RegisterType::int16, -32768, 22, 0},
    {"WphC", 21, RegisterType::int16, -32768, 22, 0},
    {"W_SF", 22, RegisterType::int16, -32768, 0, 0},
    {"VA", 23, RegisterType::int16, -32768, 27, 0},
    {"VAphA", 24, RegisterType::int16, -32768, 27, 0},
    {"VAphB", 25, RegisterType::int16, -32768, 27, 0},
    {"VAphC", 26, RegisterType::int16, -32768, 27, 0},
    {"VA_SF", 27, RegisterType::int16, -32768, 0, 0},
    {"VAR", 28, RegisterType::int16, -32768, 32, 0},
    {"VARphA", 29, RegisterType::int16, -32768, 32, 0},
    {"VARphB", 30, RegisterType::int16, -32768, 32, 0},
    {"VARphC", 31, RegisterType::int16, -32768, 32, 0},
    {"VAR_SF", 32, RegisterType::int16, -32768, 0, 0},
    {"PF", 33, RegisterType::int16, -32768, 37, 0},
    {"PFphA", 34, RegisterType::int16, -32768, 37, 0},
    {"PFphB", 35, RegisterType::int16, -32768, 37, 0},
    {"PFphC", 36, RegisterType::int16, -32768, 37, 0},
    {"PF_SF", 37, RegisterType::int16, -32768, 0, 0},
    {"TotWhExp", 38, RegisterType::uint32, 0, 54, 0},
    {"TotWhExpPhA", 40, RegisterType::uint32, 0, 54, 0},
    {"TotWhExpPhB", 42, RegisterType::uint32, 0, 54, 0},
    {"TotWhExpPhC", 44, RegisterType::uint32, 0, 54, 0},
    {"TotWhImp", 46, RegisterType::uint32, 0, 54, 0},
    {"TotWhImpPhA", 48, RegisterType::uint32, 0, 54, 0},
    {"TotWhImpPhB", 50, RegisterType::uint32, 0, 54, 0},
    {"TotWhImpPhC", 52, RegisterType::uint32, 0, 54, 0},
    {"TotWh_SF", 54, RegisterType::int16, -32768, 0, 0},
    {"TotVAhExp", 55, RegisterType::uint32, 0, 71, 0},
    {"TotVAhExpPhA", 57, RegisterType::uint32, 0, 71, 0},
    {"TotVAhExpPhB", 59, RegisterType::uint32, 0, 71, 0},
    {"TotVAhExpPhC", 61, RegisterType::uint32, 0, 71, 0},
    {"TotVAhImp", 63, RegisterType::uint32, 0, 71, 0},
    {"TotVAhImpPhA", 65, RegisterType::uint32, 0, 71, 0},
    {"TotVAhImpPhB", 67, RegisterType::uint32, 0, 71, 0},
    {"TotVAhImpPhC", 69, RegisterType::uint32, 0, 71, 0},
    {"TotVAh_SF", 71, RegisterType::int16, -32768, 0, 0},
    {"TotVArhImpQ1", 72, RegisterType::uint32, 0, 104, 0},
    {"TotVArhImpQ1PhA", 74, RegisterType::uint32, 0, 104, 0},
    {"TotVArhImpQ1PhB", 76, RegisterType::uint32, 0, 104, 0},
    {"TotVArhImpQ1PhC", 78, RegisterType::uint32, 0, 104, 0},
    {"TotVArhImpQ2", 80, RegisterType::uint32, 0, 104, 0},
    {"TotVArhImpQ2PhA", 82, RegisterType::uint32, 0, 104, 0},
    {"TotVArhImpQ2PhB", 84, RegisterType::uint32, 0, 104, 0},
    {"TotVArhImpQ2PhC", 86, RegisterType::uint32, 0, 104, 0},
    {"TotVArhExpQ3", 88, RegisterType::uint32, 0, 104, 0},
    {"TotVArhExpQ3PhA", 90, RegisterType::uint32, 0, 104, 0},
    {"TotVArhExpQ3PhB", 92, RegisterType::uint32, 0, 104, 0},
    {"TotVArhExpQ3PhC", 94, RegisterType::uint32, 0, 104, 0},
    {"TotVArhExpQ4", 96, RegisterType::uint32, 0, 104, 0},
    {"TotVArhExpQ4PhA", 98, RegisterType::uint32, 0, 104, 0},
    {"TotVArhExpQ4PhB", 100, RegisterType::uint32, 0, 104, 0},
    {"TotVArhExpQ4PhC", 102, RegisterType::uint32, 0, 104, 0},
    {"TotVArh_SF", 104, RegisterType::int16, -32768, 0, 0},
    {"Evt", 105, RegisterType::uint32, 4294967295, 0, 0},
};

inline constexpr SunspecRow model_211[] = {
    {"A", 2, RegisterType::float32, none, 0, 0},
    {"AphA", 4, RegisterType::float32, none, 0, 0},
    {"AphB", 6, RegisterType::float32, none, 0, 0},
    {"AphC", 8, RegisterType::float32, none, 0, 0},
    {"PhV", 10, RegisterType::float32, none, 0, 0},
    {"PhVphA", 12, RegisterType::float32, none, 0, 0},
    {"PhVphB", 14, RegisterType::float32, none, 0, 0},
    {"PhVphC", 16, RegisterType::float32, none, 0, 0},
    {"PPV", 18, RegisterType::float32, none, 0, 0},
    {"PhVphAB", 20, RegisterType::float32, none, 0, 0},
    {"PhVphBC", 22, RegisterType::float32, none, 0, 0},
    {"PhVphCA", 24, RegisterType::float32, none, 0, 0},
    {"Hz", 26, RegisterType::float32, none, 0, 0},
    {"W", 28, RegisterType::float32, none, 0, 0},
    {"WphA", 30, RegisterType::float32, none, 0, 0},
    {"WphB", 32, RegisterType::float32, none, 0, 0},
    {"WphC", 34, RegisterType::float32, none, 0, 0},
    {"VA", 36, RegisterType::float32, none, 0, 0},
    {"VAphA", 38, RegisterType::float32, none, 0, 0},
    {"VAphB", 40, RegisterType::float32, none, 0, 0},
    {"VAphC", 42, RegisterType::float32, none, 0, 0},
    {"VAR", 44, RegisterType::float32, none, 0, 0},
    {"VARphA", 46, RegisterType::float32, none, 0, 0},
    {"VARphB", 48, RegisterType::float32, none, 0, 0},
    {"VARphC", 50, RegisterType::float32, none, 0, 0},
    {"PF", 52, RegisterType::float32, none, 0, 0},
    {"PFphA", 54, RegisterType::float32, none, 0, 0},
    {"PFphB", 56, RegisterType::float32, none, 0, 0},
    {"PFphC", 58, RegisterType::float32, none, 0, 0},
    {"TotWhExp", 60, RegisterType::float32, none, 0, 0},
    {"TotWhExpPhA", 62, RegisterType::float32, none, 0, 0},
    {"TotWhExpPhB", 64, RegisterType::float32, none, 0, 0},
    {"TotWhExpPhC", 66, RegisterType::float32, none, 0, 0},
    {"TotWhImp", 68, RegisterType::float32, none, 0, 0},
    {"TotWhImpPhA", 70, RegisterType::float32, none, 0, 0},
    {"TotWhImpPhB", 72, RegisterType::float32, none, 0, 0},
    {"TotWhImpPhC", 74, RegisterType::float32, none, 0, 0},
    {"TotVAhExp", 76, RegisterType::float32, none, 0, 0},
    {"TotVAhExpPhA", 78, RegisterType::float32, none, 0, 0},
    {"TotVAhExpPhB", 80, RegisterType::float32, none, 0, 0},
    {"TotVAhExpPhC", 82, RegisterType::float32, none, 0, 0},
    {"TotVAhImp", 84, RegisterType::float32, none, 0, 0},
    {"TotVAhImpPhA", 86, RegisterType::float32, none, 0, 0},
    {"TotVAhImpPhB", 88, RegisterType::float32, none, 0, 0},
    {"TotVAhImpPhC", 90, RegisterType::float32, none, 0, 0},
    {"TotVArhImpQ1", 92, RegisterType::float32, none, 0, 0},
    {"TotVArhImpQ1PhA", 94, RegisterType::float32, none, 0, 0},
    {"TotVArhImpQ1PhB", 96, RegisterType::float32, none, 0, 0},
    {"TotVArhImpQ1PhC", 98, RegisterType::float32, none, 0, 0},
    {"TotVArhImpQ2", 100, RegisterType::float32, none, 0, 0},
    {"TotVArhImpQ2PhA", 102, RegisterType::float32, none, 0, 0},
    {"TotVArhImpQ2PhB", 104, RegisterType::float32, none, 0, 0},
    {"TotVArhImpQ2PhC", 106, RegisterType::float32, none, 0, 0},
    {"TotVArhExpQ3", 108, RegisterType::float32, none, 0, 0},
    {"TotVArhExpQ3PhA", 110, RegisterType::float32, none, 0, 0},
    {"TotVArhExpQ3PhB", 112, RegisterType::float32, none, 0, 0},
    {"TotVArhExpQ3PhC", 114, RegisterType::float32, none, 0, 0},
    {"TotVArhExpQ4", 116, RegisterType::float32, none, 0, 0},
    {"TotVArhExpQ4PhA", 118, RegisterType::float32, none, 0, 0},
    {"TotVArhExpQ4PhB", 120, RegisterType::float32, none, 0, 0},
    {"TotVArhExpQ4PhC", 122, RegisterType::float32, none, 0, 0},
    {"Evt", 124, RegisterType::uint32, 4294967295, 0, 0},
};

inline constexpr SunspecRow model_160[] = {
    {"DCA_SF", 2, RegisterType::int16, -32768, 0, 0},
    {"DCV_SF", 3, RegisterType::int16, -32768, 0, 0},
    {"DCW_SF", 4, RegisterType::int16, -32768, 0, 0},
    {"DCWH_SF", 5, RegisterType::int16, -32768, 0, 0},
    {"Evt", 6, RegisterType::uint32, 4294967295, 0, 0},
    {"N", 8, RegisterType::uint16, 65535, 0, 0},
    {"TmsPer", 9, RegisterType::uint16, 65535, 0, 0},
};

inline constexpr SunspecRow model_160_block[] = {
    {"ID", 10, RegisterType::uint16, 65535, 0, 0},
    {"IDStr", 11, RegisterType::string, none, 0, 8},
    {"DCA", 19, RegisterType::uint16, 65535, 2, 0},
    {"DCV", 20, RegisterType::uint16, 65535, 3, 0},
    {"DCW", 21, RegisterType::uint16, 65535, 4, 0},
    {"DCWH", 22, RegisterType::uint32, 0, 5, 0},
    {"Tms", 24, RegisterType::uint32, 4294967295, 0, 0},
    {"Tmp", 26, RegisterType::int16, -32768, 0, 0},
    {"DCSt", 27, RegisterType::uint16, 65535, 0, 0},
    {"DCEvt", 28, RegisterType::uint32, 4294967295, 0, 0},
};

inline constexpr SunspecModels sunspec_models[] = {
    {1, 1, model_1, std::span<const SunspecRow>(), 0},
    {101, 103, model_101, std::span<const SunspecRow>(), 0},
    {111, 113, model_111, std::span<const SunspecRow>(), 0},
    {160, 160, model_160, model_160_block, 20},
    {201, 204, model_201, std::span<const SunspecRow>(), 0},
    {211, 214, model_211, std::span<const SunspecRow>(), 0},
};
// clang-format on

} // namespace things
