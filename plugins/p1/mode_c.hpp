// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "p1/telegram.hpp"

#include "link/serial_port.hpp"
#include "link/stream.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// IEC 62056-21 (formerly 1107), modes A, B and C: a meter that is asked through an optical head.
//   we     /?ADDRESS! CR LF                      300 baud 7E1
//   meter  /XXXZident CR LF                      Z: the speed it offers
//   we     ACK 0 Z 0 CR LF                       mode C only; then both change to that speed
//   meter  STX lines CR LF ! CR LF ETX BCC       BCC: XOR of everything behind STX, ETX included
// Example: data "1.8.0(001234.567*kWh)" CR LF "!" CR LF ETX has BCC 7A.
namespace things {

/// What the meter says about itself: the speed it offers and whether it waits for an acknowledgement.
/// Z is a digit in mode C, a letter in mode B (the speed changes without being asked) and neither in mode A.
struct MeterIdentity {
    std::string header;  ///< without '/'
    char speed_mark = 0; ///< Z
    int baud = 300;      ///< that Z stands for
    bool is_mode_c = false;
};
/// A line without CR LF. Nothing if it is not an identification.
[[nodiscard]] std::optional<MeterIdentity> parse_identity(std::string_view line);
/// The acknowledgement, for the highest speed that is offered and no higher than `max_baud`; `baud` receives
/// it.
/// 300 baud where `max_baud` is below every speed offered. Mode C only.
[[nodiscard]] std::string acknowledge(const MeterIdentity& identity, int max_baud, int& baud);
/// Of the block from behind STX to ETX, both as sent: the data lines, or nothing if `bcc` does not fit.
[[nodiscard]] std::optional<std::string> check_block(std::string_view block, char bcc);

/// `timeout`: without a byte for so long the readout has failed. `wake_up`: NULs first, for meters whose
/// optical head sleeps.
struct ModeCOptions {
    std::string address;
    bool wake_up = false;
    int max_baud = 9600;
    std::chrono::milliseconds timeout{3000};
    MeterClockRules clock;
};

/// One readout. It may take longer than one call of the host: `step` goes on where the last one left off.
/// States, each of which a call of step() may leave and the next resumes:
///
///   idle       nothing asked, or all said
///   wake       66 NULs go out at 300 baud 7E1 (2.2 s), then 1.6 s of silence
///   sign_on    the request goes out at 300 baud 7E1
///   identity   the header is read, the acknowledgement sent, the speed changed
///   data       STX to BCC is read
class ModeCReadout {
public:
    enum class Progress : std::uint8_t { busy, done, failed, lost };
    explicit ModeCReadout(ModeCOptions options) : options_(std::move(options)) {}

    /// Begins at the beginning whatever went before. The line is set to 300 7E1 by the first step().
    void start();
    [[nodiscard]] bool is_busy() const { return state_ != State::idle; }
    /// Until the readout is done or has failed, or patience ends (busy). lost: the link is to be opened
    /// again.
    /// What is sent is sent whole, even if the host wants the thread back meanwhile: half a request helps
    /// nobody. A character with wrong parity fails the readout.
    Progress step(Stream& stream, const Patience& patience);
    /// After done, until the next start().
    [[nodiscard]] const Telegram& telegram() const { return telegram_; }
    /// What went wrong, for a technician.
    [[nodiscard]] const std::string& error() const { return error_; }

private:
    enum class State : std::uint8_t { idle, wake, sign_on, identity, data };
    static constexpr std::size_t max_length =
        std::size_t{64} * 1024; ///< a full readout with load profile headers

    Progress fail(std::string why);
    Progress ask(Stream& stream, const Patience& patience);
    Progress send(Stream& stream, const Patience& patience, std::string_view text);
    /// The meter's time to answer begins anew.
    void expect_more();
    Progress take(std::string_view bytes, Stream& stream, const Patience& patience);
    Progress take_identity(Stream& stream, const Patience& patience);
    Progress take_data();

    ModeCOptions options_;
    State state_ = State::idle;
    std::string buffer_;
    MeterIdentity identity_;
    SteadyTime give_up_, begin_;
    Telegram telegram_;
    std::string error_;
};

} // namespace things
