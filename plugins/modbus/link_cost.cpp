// SPDX-License-Identifier: Apache-2.0
#include "modbus/link_cost.hpp"

#include <algorithm>

namespace things {

namespace {

constexpr unsigned frame_bytes = 8 + 5; // an RTU request, and what surrounds the data of an answer
constexpr int fast_baud = 19200;        // above it the silence no longer shrinks
constexpr double fast_silence_us = 1750;
constexpr double tcp_byte_us = 0.01; // a 1 Gbit/s network, and copying
constexpr double most_bytes = 250;   // of data in one answer

} // namespace

double silence_us(const LineSettings& line) {
    return line.baud > fast_baud ? fast_silence_us : 3500 * character_ms(line);
}

unsigned data_bytes(RegisterTable table, unsigned count, unsigned register_bytes) {
    return holds_bits(table) ? (count + 7) / 8 : register_bytes * count;
}

double LinkCost::read_us(RegisterTable table, unsigned count, unsigned register_bytes) const {
    return request_us + byte_us * data_bytes(table, count, register_bytes);
}

double LinkCost::request_bytes() const {
    return std::min(request_us / byte_us, most_bytes);
}

LinkCost serial_cost(const LineSettings& line, double pause_us, double turnaround_us) {
    const double character = 1000 * character_ms(line);
    return {frame_bytes * character + 2 * silence_us(line) + pause_us + turnaround_us, character};
}

LinkCost tcp_cost(double pause_us, double round_trip_us) {
    return {pause_us + round_trip_us, tcp_byte_us};
}

} // namespace things
