// SPDX-License-Identifier: Apache-2.0
#include "exec/source.hpp"

#include <iterator>

// The plugin `exec`: any program that prints readings as JSON lines. See README.md.

namespace {

const things_plugin* make_table() {
    using things::make_key;
    static const things_key keys[] = {
        make_key(
            THINGS_SOURCE, "command", THINGS_TYPE_LIST, "",
            "The program and its arguments; no shell in between. A full path, or a name found in /usr/bin.",
            {}, "", THINGS_REQUIRED),
        make_key(THINGS_SOURCE, "mode", THINGS_TYPE_CHOICE, "talks",
                 "talks: prints readings by itself. asked: is told on standard input when points are due.",
                 {}, "", 0, "talks asked"),
        make_key(THINGS_SOURCE, "environment", THINGS_TYPE_MAP, "",
                 "Variables for the program; of the gateway's own it gets none."),
        make_key(THINGS_SOURCE, "stop_time", THINGS_TYPE_DURATION, "1s",
                 "How long it may take to end after SIGTERM, before it is killed.", {0, 3000}),
        make_key(THINGS_SOURCE, "timeout", THINGS_TYPE_DURATION, "5s",
                 "How long it may take to answer a question (mode asked) or a command.", {100, 120'000}),
        make_key(THINGS_POINT, "field", THINGS_TYPE_TEXT, "",
                 "What the program calls this point; the point's name if not given."),
    };
    static const things_key* pointers[std::size(keys)];
    for (std::size_t i = 0; i < std::size(keys); ++i)
        pointers[i] = &keys[i];
    using Border = things::PluginBorder<things::ExecSource>;
    static things_plugin table{};
    table.size = sizeof table;
    table.abi_major = THINGS_ABI_MAJOR;
    table.abi_minor = THINGS_ABI_MINOR;
    table.key_count = std::size(keys);
    table.name = "exec";
    table.version = "1.0";
    table.summary = "any program that prints readings as JSON lines";
    table.keys = pointers;
    table.create = &Border::create;
    table.destroy = &Border::destroy;
    table.poll = &Border::poll;
    table.listen = &Border::listen;
    table.write = &Border::write;
    table.flags = THINGS_RUNS_PROGRAMS;
    return &table;
}

} // namespace

extern "C" const things_plugin* things_plugin_entry() {
    static const things_plugin* const table = make_table();
    return table;
}
