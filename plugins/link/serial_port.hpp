// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "link/stream.hpp"

#include <optional>
#include <string>
#include <string_view>

// Serial ports: opened for one owner by libmodbus, raw, without flow control (it would eat bytes), RTS and
// DTR set (they power many cables and are the data request of a P1 port), HUPCL cleared (a restart must not
// make the device pause). The opener owns the stream; any thread may open. After a crash the settings stay
// until somebody opens the port again.
namespace things {

enum class LineParity : std::uint8_t { none, even, odd };

/// How characters travel: "9600 7E1". data_bits 7 or 8, stop_bits 1 or 2.
struct LineSettings {
    int baud = 9600;
    int data_bits = 8;
    LineParity parity = LineParity::none;
    int stop_bits = 1;
    friend bool operator==(const LineSettings&, const LineSettings&) = default;
};

/// What else a port can do for its owner.
struct PortUse {
    /// Characters that came damaged are told, where the line has parity. A protocol with a checksum of its
    /// own has no use for it.
    bool marks_damage = true;
    bool rs485 = false; ///< the kernel switches the direction
};

/// How long a character takes on the wire, with its start, parity and stop bits; milliseconds.
[[nodiscard]] double character_ms(const LineSettings& line);
/// "9600 7E1".
[[nodiscard]] std::string to_text(const LineSettings& line);
/// Takes "8N1", "7E1", "8o2" apart; baud stays as it is. Nothing if the text is not of that form.
[[nodiscard]] std::optional<LineSettings> with_frame(LineSettings line, std::string_view frame);
/// Whether the system has a name for it. Ports are set to other speeds as well, if their driver can.
[[nodiscard]] bool is_known_baud(int baud);

/// Does not block. Locked (flock) and exclusive (TIOCEXCL), since programs differ in which they respect.
/// Input that waited is thrown away.
[[nodiscard]] OpenedLink open_serial(const std::string& path, const LineSettings& line,
                                     const PortUse& use = {});
/// Changes the line settings of an open port at once. Empty: done; else what went wrong.
/// What was received at the old speed stays in the buffer. A socket takes no settings: done.
[[nodiscard]] std::string change_line(Stream& stream, const LineSettings& line);
/// What an errno of a port means; 0: it hung up.
[[nodiscard]] LinkTrouble serial_trouble(const std::string& path, const LineSettings& line, int error);

} // namespace things
