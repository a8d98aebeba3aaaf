// SPDX-License-Identifier: Apache-2.0
#include "serial/keys.hpp"
#include "serial/serial_source.hpp"

#include "things_plugin.hpp"

const things_plugin* things_plugin_entry(void) {
    using things::SerialSource;
    static const things_plugin table = [] {
        const auto& keys = things::serial_keys();
        things_plugin entry{};
        entry.size = sizeof entry;
        entry.abi_major = THINGS_ABI_MAJOR;
        entry.abi_minor = THINGS_ABI_MINOR;
        entry.key_count = static_cast<std::uint32_t>(keys.size());
        entry.name = "serial";
        entry.version = "0.1.0";
        entry.summary = "Sensors that talk text or binary frames on a serial port or a TCP socket, by "
                        "themselves or asked";
        entry.keys = keys.data();
        entry.create = &things::PluginBorder<SerialSource>::create;
        entry.destroy = &things::PluginBorder<SerialSource>::destroy;
        entry.poll = &things::PluginBorder<SerialSource>::poll;
        entry.listen = &things::PluginBorder<SerialSource>::listen;
        entry.write = &things::PluginBorder<SerialSource>::write;
        entry.discover = &things::PluginBorder<SerialSource>::discover;
        entry.plan = &things::PluginBorder<SerialSource>::plan;
        return entry;
    }();
    return &table;
}
