// SPDX-License-Identifier: Apache-2.0
#include "modbus/keys.hpp"
#include "modbus/modbus_source.hpp"
#include "things_plugin.hpp"

#ifndef THINGS_VERSION
#define THINGS_VERSION "0.1.0"
#endif

extern "C" const things_plugin* things_plugin_entry(void) {
    using Border = things::PluginBorder<things::ModbusSource>;
    static const things::ModbusKeys keys = things::modbus_keys();
    static const things_plugin table{sizeof(things_plugin),
                                     THINGS_ABI_MAJOR,
                                     THINGS_ABI_MINOR,
                                     keys.count,
                                     "modbus",
                                     THINGS_VERSION,
                                     "Modbus RTU, TCP and RTU over TCP: reads and writes registers and coils",
                                     keys.keys,
                                     &Border::create,
                                     &Border::destroy,
                                     &Border::poll,
                                     nullptr,
                                     &Border::write,
                                     &Border::discover,
                                     &Border::plan,
                                     0};
    return &table;
}
