// SPDX-License-Identifier: Apache-2.0
#pragma once

// Round trips a second over TCP connections of a thread each, beside libmodbus' own client in the same run
// against the same server; see tcp_trips.cpp. Prints a line for each setting.
namespace things {

void bench_tcp();

} // namespace things
