// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "modbus/register_table.hpp"

#include <cstdint>

// What a request costs on a link, so that the planner can tell which registers are cheaper read along than
// left out. Pure; microseconds.
//   serial  T(n) = (8 + 5 + data bytes) c + 2 t35 + pause + turnaround, c = bits of a character / baud
//   TCP     T(n) = round trip + bytes x (next to nothing)
namespace things {

/// How characters travel on a serial line.
struct SerialFrame {
    std::uint32_t baud = 9600;
    std::uint8_t data_bits = 8;
    char parity = 'N'; ///< N, E or O
    std::uint8_t stop_bits = 1;
    friend bool operator==(const SerialFrame&, const SerialFrame&) = default;
};

double character_us(const SerialFrame& frame);
/// The silence that ends a frame: 3.5 characters, and fixed 1.75 ms above 19200 baud.
double silence_us(const SerialFrame& frame);

struct LinkCost {
    double request_us = 0; ///< of a request and its answer, apart from their data
    double byte_us = 0;    ///< of each byte of data
    [[nodiscard]] double read_us(RegisterTable table, unsigned count) const;
};

LinkCost serial_cost(const SerialFrame& frame, double pause_us, double turnaround_us);
LinkCost tcp_cost(double pause_us, double round_trip_us);

/// Bytes of data in the answer.
unsigned data_bytes(RegisterTable table, unsigned count);

} // namespace things
