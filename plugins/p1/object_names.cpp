// SPDX-License-Identifier: Apache-2.0
#include "p1/object_names.hpp"

#include <algorithm>
#include <iterator>
#include <string>

namespace things {

namespace {

constexpr KnownObject known[] = {
    {"1-0:1.8.0", "energyImport", "kWh", ""},
    {"1-0:1.8.1", "energyImportT1", "kWh", ""},
    {"1-0:1.8.2", "energyImportT2", "kWh", ""},
    {"1-0:1.8.3", "energyImportT3", "kWh", ""},
    {"1-0:1.8.4", "energyImportT4", "kWh", ""},
    {"1-0:2.8.0", "energyExport", "kWh", ""},
    {"1-0:2.8.1", "energyExportT1", "kWh", ""},
    {"1-0:2.8.2", "energyExportT2", "kWh", ""},
    {"1-0:2.8.3", "energyExportT3", "kWh", ""},
    {"1-0:2.8.4", "energyExportT4", "kWh", ""},
    {"1-0:3.8.0", "reactiveEnergyImport", "kvarh", ""},
    {"1-0:3.8.1", "reactiveEnergyImportT1", "kvarh", ""},
    {"1-0:3.8.2", "reactiveEnergyImportT2", "kvarh", ""},
    {"1-0:4.8.0", "reactiveEnergyExport", "kvarh", ""},
    {"1-0:4.8.1", "reactiveEnergyExportT1", "kvarh", ""},
    {"1-0:4.8.2", "reactiveEnergyExportT2", "kvarh", ""},
    {"1-0:5.8.0", "reactiveEnergyQ1", "kvarh", ""},
    {"1-0:6.8.0", "reactiveEnergyQ2", "kvarh", ""},
    {"1-0:7.8.0", "reactiveEnergyQ3", "kvarh", ""},
    {"1-0:8.8.0", "reactiveEnergyQ4", "kvarh", ""},
    {"1-0:15.8.0", "energyAbsolute", "kWh", ""},
    {"0-0:96.14.0", "tariff", "", ""},
    {"1-0:1.7.0", "power", "kW", ""},
    {"1-0:2.7.0", "powerExport", "kW", ""},
    {"1-0:15.7.0", "powerAbsolute", "kW", ""},
    {"1-0:21.7.0", "powerL1", "kW", ""},
    {"1-0:41.7.0", "powerL2", "kW", ""},
    {"1-0:61.7.0", "powerL3", "kW", ""},
    {"1-0:22.7.0", "powerExportL1", "kW", ""},
    {"1-0:42.7.0", "powerExportL2", "kW", ""},
    {"1-0:62.7.0", "powerExportL3", "kW", ""},
    {"1-0:3.7.0", "reactivePower", "kvar", ""},
    {"1-0:4.7.0", "reactivePowerExport", "kvar", ""},
    {"1-0:23.7.0", "reactivePowerL1", "kvar", ""},
    {"1-0:43.7.0", "reactivePowerL2", "kvar", ""},
    {"1-0:63.7.0", "reactivePowerL3", "kvar", ""},
    {"1-0:24.7.0", "reactivePowerExportL1", "kvar", ""},
    {"1-0:44.7.0", "reactivePowerExportL2", "kvar", ""},
    {"1-0:64.7.0", "reactivePowerExportL3", "kvar", ""},
    {"1-0:9.7.0", "apparentPower", "kVA", ""},
    {"1-0:10.7.0", "apparentPowerExport", "kVA", ""},
    {"1-0:29.7.0", "apparentPowerL1", "kVA", ""},
    {"1-0:49.7.0", "apparentPowerL2", "kVA", ""},
    {"1-0:69.7.0", "apparentPowerL3", "kVA", ""},
    {"1-0:30.7.0", "apparentPowerExportL1", "kVA", ""},
    {"1-0:50.7.0", "apparentPowerExportL2", "kVA", ""},
    {"1-0:70.7.0", "apparentPowerExportL3", "kVA", ""},
    {"1-0:32.7.0", "electricPotentialL1", "V", ""},
    {"1-0:52.7.0", "electricPotentialL2", "V", ""},
    {"1-0:72.7.0", "electricPotentialL3", "V", ""},
    {"1-0:31.7.0", "electricCurrentL1", "A", ""},
    {"1-0:51.7.0", "electricCurrentL2", "A", ""},
    {"1-0:71.7.0", "electricCurrentL3", "A", ""},
    {"1-0:91.7.0", "electricCurrentN", "A", ""},
    {"1-0:90.7.0", "electricCurrentSum", "A", ""},
    {"1-0:14.7.0", "frequency", "Hz", ""},
    {"1-0:13.7.0", "powerFactor", "", ""},
    {"1-0:33.7.0", "powerFactorL1", "", ""},
    {"1-0:53.7.0", "powerFactorL2", "", ""},
    {"1-0:73.7.0", "powerFactorL3", "", ""},
    {"1-0:1.4.0", "powerDemand", "kW", ""},
    {"1-0:1.6.0", "powerDemandMonthMax", "kW", ""},
    {"0-0:98.1.0", "powerDemandHistory", "kW", ""},
    {"0-0:17.0.0", "powerLimit", "", ""}, // or currentLimit, apparentPowerLimit: the printed unit says which
    {"1-0:31.4.0", "currentLimitL1", "A", ""},
    {"1-0:51.4.0", "currentLimitL2", "A", ""},
    {"1-0:71.4.0", "currentLimitL3", "A", ""},
    {"1-1:31.4.0", "currentLimit", "A", ""},
    {"0-0:96.3.10", "breakerState", "", ""},
    {"0-0:24.4.0", "breakerState", "", ""},
    {"0-1:96.3.10", "relay1State", "", ""},
    {"0-2:96.3.10", "relay2State", "", ""},
    {"0-3:96.3.10", "relay3State", "", ""},
    {"0-4:96.3.10", "relay4State", "", ""},
    {"0-0:96.7.21", "powerFailures", "", "count"},
    {"0-0:96.7.9", "longPowerFailures", "", "count"},
    {"1-0:99.97.0", "powerFailure", "s", ""},
    {"1-0:32.32.0", "voltageSagsL1", "", "count"},
    {"1-0:52.32.0", "voltageSagsL2", "", "count"},
    {"1-0:72.32.0", "voltageSagsL3", "", "count"},
    {"0-0:32.32.0", "voltageSagsL1", "", "count"},
    {"0-0:52.32.0", "voltageSagsL2", "", "count"},
    {"0-0:72.32.0", "voltageSagsL3", "", "count"},
    {"1-0:32.36.0", "voltageSwellsL1", "", "count"},
    {"1-0:52.36.0", "voltageSwellsL2", "", "count"},
    {"1-0:72.36.0", "voltageSwellsL3", "", "count"},
    {"0-0:32.36.0", "voltageSwellsL1", "", "count"},
    {"0-0:52.36.0", "voltageSwellsL2", "", "count"},
    {"0-0:72.36.0", "voltageSwellsL3", "", "count"},
    {"1-0:0.4.2", "currentTransformerRatio", "", ""},
    {"1-0:0.4.3", "voltageTransformerRatio", "", ""},
    {"0-0:96.13.0", "message", "", ""},
    {"0-0:96.13.1", "messageCode", "", ""},
    {"0-0:96.13.2", "message2", "", ""},
    {"0-0:96.13.3", "message3", "", ""},
    {"0-0:96.13.4", "message4", "", ""},
    {"0-0:96.13.5", "message5", "", ""},
    {"0-0:96.1.1", "meterId", "", ""},
    {"0-0:96.1.0", "meterId", "", ""},
    {"0-0:42.0.0", "meterId", "", ""},
    {"1-0:0.0.0", "meterId", "", ""}, // mode C
    {"0-0:96.1.2", "connectionEan", "", ""},
    {"7-0:23.1.0", "volumeGas", "m3", ""},
    {"7-0:23.2.0", "volumeGas", "m3", ""},
    {"7-0:24.4.0", "gasValveState", "", ""},
    {"7-0:0.0.0", "gasMeterId", "", ""},
    {"5-0:1.0.0", "heatEnergy", "GJ", ""},
    {"6-0:1.0.0", "coolingEnergy", "GJ", ""},
    {"8-0:1.0.0", "volumeWater", "m3", ""},
};

constexpr MbusMedium mbus[] = {
    {3, "gas", "volumeGas", "m3", "gasValveState", "gasMeterId"},
    {7, "water", "volumeWater", "m3", "waterValveState", "waterMeterId"},
    {6, "water", "volumeWater", "m3", "waterValveState", "waterMeterId"},
    {21, "water", "volumeWater", "m3", "waterValveState", "waterMeterId"},
    {22, "water", "volumeWater", "m3", "waterValveState", "waterMeterId"},
    {4, "heat", "heatEnergy", "GJ", "heatValveState", "heatMeterId"},
    {12, "heat", "heatEnergy", "GJ", "heatValveState", "heatMeterId"},
    {13, "heat", "heatEnergy", "GJ", "heatValveState", "heatMeterId"},
    {10, "cold", "coolingEnergy", "GJ", "coolingValveState", "coolingMeterId"},
    {11, "cold", "coolingEnergy", "GJ", "coolingValveState", "coolingMeterId"},
    {2, "electricity", "subEnergyImport", "kWh", "subSwitchState", "subMeterId"},
};

template <class Match>
const MbusMedium* find_mbus(Match match) {
    const auto* found = std::find_if(std::begin(mbus), std::end(mbus), match);
    return found == std::end(mbus) ? nullptr : found;
}

} // namespace

const KnownObject* find_known_object(std::string_view obis) {
    auto find = [](std::string_view code) {
        const auto* found = std::find_if(std::begin(known), std::end(known),
                                         [code](const KnownObject& object) { return object.obis == code; });
        return found == std::end(known) ? nullptr : found;
    };
    const KnownObject* found = find(obis);
    if (found == nullptr && obis.substr(0, 4) == "1-1:") // Switzerland
        found = find("1-0:" + std::string(obis.substr(4)));
    return found;
}

const KnownObject* find_known_name(std::string_view name) {
    const auto* found = std::find_if(std::begin(known), std::end(known),
                                     [name](const KnownObject& object) { return object.name == name; });
    return found == std::end(known) ? nullptr : found;
}

const MbusMedium* find_mbus_type(int type) {
    return find_mbus([type](const MbusMedium& entry) { return entry.type == type; });
}

const MbusMedium* find_mbus_name(std::string_view name) {
    return find_mbus([name](const MbusMedium& entry) {
        return entry.reading == name || entry.valve == name || entry.id == name;
    });
}

const MbusMedium* find_mbus_medium(std::string_view medium) {
    return find_mbus([medium](const MbusMedium& entry) { return entry.medium == medium; });
}

} // namespace things
