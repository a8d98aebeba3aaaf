// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "modbus/frame.hpp"

#include <cstdint>

// The numbers of requests and answers on TCP, and what was learned of how the other side numbers its answers.
// Owned by a bus, used on its thread; learned anew after a restart.
namespace things {

/// ours: as the protocol wants it, so that a late answer is known by its number. own: in a way of its own (0
/// each time, a counter, bytes swapped): then what may still be owed is waited for, as with RTU frames.
enum class AnswerNumbers : std::uint8_t { unknown, ours, own };

class AnswerNumbering {
public:
    /// `first` by chance: a device that counts for itself must not fall into step with us.
    explicit AnswerNumbering(std::uint16_t first) : transaction_(first) {}
    [[nodiscard]] AnswerNumbers kind() const { return kind_; }
    /// The number of the next request.
    std::uint16_t next();
    /// An answer to it may have any number.
    [[nodiscard]] bool takes_any(const BusRequest& request) const;
    /// An answer came under the number of its request.
    void on_right();
    /// A right answer came under another number, the only one on its connection. True: it is always so.
    [[nodiscard]] bool on_other();
    /// Nothing but an answer under another number came within a full timeout.
    void on_other_only();

private:
    AnswerNumbers kind_ = AnswerNumbers::unknown;
    int others_ = 0; ///< answers in a row
    std::uint16_t transaction_;
};

} // namespace things
