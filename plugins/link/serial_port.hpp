// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "link/stream.hpp"

#include <optional>
#include <string>
#include <string_view>

// Serial ports: opened for one owner, raw, without flow control (it would eat bytes), RTS and DTR set (they
// power many cables and are the data request of a P1 port), HUPCL cleared (a restart must not make the device
// pause), parity errors marked in the stream where parity is on.
namespace things {

enum class LineParity : std::uint8_t { none, even, odd };

/// How characters travel: "9600 7E1".
/// data_bits 7 or 8, stop_bits 1 or 2, baud one that is_known_baud().
struct LineSettings {
    int baud = 9600;
    int data_bits = 8;
    LineParity parity = LineParity::none;
    int stop_bits = 1;
    friend bool operator==(const LineSettings&, const LineSettings&) = default;
};

/// How long a character takes on the wire, with its start, parity and stop bits; milliseconds.
[[nodiscard]] double character_ms(const LineSettings& line);
/// "9600 7E1".
[[nodiscard]] std::string to_text(const LineSettings& line);
/// Takes "8N1", "7E1", "8o2" apart; baud stays as it is. Nothing if the text is not of that form.
[[nodiscard]] std::optional<LineSettings> with_frame(LineSettings line, std::string_view frame);
[[nodiscard]] bool is_known_baud(int baud);

/// Opens a port. The error says what to do: missing, in use by whom it can tell, no permission.
/// Locked (flock) and exclusive (TIOCEXCL): the lock finds out who came before, TIOCEXCL keeps later ones
/// out, but not root. Input that waited is thrown away. Does not block.
[[nodiscard]] OpenedLink open_serial(const std::string& path, const LineSettings& line);
/// Changes the line settings of an open port at once. Empty: done; else what went wrong.
/// What was received at the old speed stays in the buffer. A socket takes no settings: done.
[[nodiscard]] std::string change_line(Stream& stream, const LineSettings& line);

} // namespace things
