// SPDX-License-Identifier: Apache-2.0
#include "p1/keys.hpp"
#include "p1/p1_source.hpp"

#include "things_plugin.hpp"

const things_plugin* things_plugin_entry(void) {
    using things::P1Source;
    static const things_plugin table = [] {
        const auto& keys = things::p1_keys();
        things_plugin entry{};
        entry.size = sizeof entry;
        entry.abi_major = THINGS_ABI_MAJOR;
        entry.abi_minor = THINGS_ABI_MINOR;
        entry.key_count = static_cast<std::uint32_t>(keys.size());
        entry.name = "p1";
        entry.version = "0.1.0";
        entry.summary =
            "Smart meters with a P1 port (DSMR 2.2 to 5, Belgium, Luxembourg, Sweden) or an optical head";
        entry.keys = keys.data();
        entry.create = &things::PluginBorder<P1Source>::create;
        entry.destroy = &things::PluginBorder<P1Source>::destroy;
        entry.poll = &things::PluginBorder<P1Source>::poll;
        entry.listen = &things::PluginBorder<P1Source>::listen;
        entry.discover = &things::PluginBorder<P1Source>::discover;
        entry.plan = &things::PluginBorder<P1Source>::plan;
        return entry;
    }();
    return &table;
}
