// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "link/serial_port.hpp"
#include "modbus/register_table.hpp"

#include <cstdint>

// What a request costs on a link, so that the planner can tell which registers are cheaper read along than
// left out. Pure; microseconds.
//   serial  T(n) = (8 + 5 + data bytes) c + 2 t35 + pause + turnaround, c = bits of a character / baud
//   TCP     T(n) = round trip + bytes x (next to nothing)
namespace things {

/// The silence that ends a frame: 3.5 characters, and fixed 1.75 ms above 19200 baud.
/// Modbus over Serial Line V1.02, section 2.5.1.1.
double silence_us(const LineSettings& line);

/// A straight line. Good enough to choose between two plans; no deadline depends on it.
struct LinkCost {
    double request_us = 0; ///< of a request and its answer, apart from their data
    double byte_us = 0;    ///< of each byte of data
    [[nodiscard]] double read_us(RegisterTable table, unsigned count, unsigned register_bytes = 2) const;
    /// Bytes of data that cost as much as one request more; at most what an answer carries, since from there
    /// on every gap is worth crossing. What a plan depends on, beside the device: on TCP it is always the
    /// most.
    [[nodiscard]] double request_bytes() const;
};

/// `turnaround_us`: what the device takes between the request's last byte and its answer's first.
LinkCost serial_cost(const LineSettings& line, double pause_us, double turnaround_us);
LinkCost tcp_cost(double pause_us, double round_trip_us);

/// Bytes of data in the answer.
unsigned data_bytes(RegisterTable table, unsigned count, unsigned register_bytes = 2);

} // namespace things
