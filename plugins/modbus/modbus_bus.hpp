// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "modbus/answer_numbers.hpp"
#include "modbus/bus_connection.hpp"
#include "modbus/frame.hpp"
#include "modbus/modbus_settings.hpp"
#include "modbus/owed_answers.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

// One request, one answer: owns the link, keeps the silence between frames, matches answers to requests and
// sends again what was lost. Used on the source's thread only. After a crash nothing is left behind; the
// first exchange on a freshly opened link begins with silence.
// Late answers of requests that were given up are OwedAnswers' business.
namespace things {

/// `patience` is at most `timeout` when a unit is only glanced at; what a debt lasts goes by `timeout` all
/// the same, since the device does not know how long we wait.
struct BusTiming {
    std::chrono::milliseconds timeout{1000}; ///< an answer later than five of these does not come
    std::chrono::milliseconds pause{0};
    int retries = 2;                             ///< after a damaged answer, or one that says "later"
    int silent_retries = 2;                      ///< after silence; at most `retries`
    std::chrono::milliseconds patience{timeout}; ///< how long to wait this time
    SteadyTime until{SteadyTime::max()};         ///< nothing is sent again after this
};

/// How an exchange ended.
/// `words` are those of a read, one for each register or coil; of a write there are none. `code` of exception
/// only, `misfit` of silent and damaged.
struct Exchange {
    enum class Status : std::uint8_t {
        answered,
        exception, ///< the device said no: `code`
        silent,    ///< no answer in time
        damaged,   ///< something came, but no answer to this; see `misfit`
        lost       ///< the link is gone; see BusConnection::trouble()
    };
    Status status = Status::silent;
    std::uint8_t code = 0;
    Misfit misfit{};
    bool was_sent = false; ///< a byte of the request may have reached the device
    int attempts = 0;
    std::uint32_t duration_us = 0; ///< of the last attempt
    std::vector<std::uint16_t> words{};
};

/// Invariant: at most one request is under way, and before it is sent the line was silent for silence_ and
/// the device's pause. A line that is never silent is used all the same after half a second.
class ModbusBus {
public:
    /// `host`, which outlives the bus, may end a wait for a connection early; null: nobody does.
    ModbusBus(const LinkSettings& settings, const PluginHost* host);
    /// Over this link, whose time is the only one that counts.
    ModbusBus(const LinkSettings& settings, std::unique_ptr<ByteLink> link, const PluginHost* host);
    ~ModbusBus();

    ModbusBus(const ModbusBus&) = delete;
    ModbusBus& operator=(const ModbusBus&) = delete;

    /// Opens the link unless it is open, and waits until it is ready; see BusConnection.
    [[nodiscard]] std::optional<LinkTrouble> open();
    [[nodiscard]] bool is_open() const { return link_.is_open(); }
    /// Debts stay: a serial server may outlive the connection and hand a late answer to the next one.
    void close();
    [[nodiscard]] BusConnection& connection() { return connection_; }

    /// The link must be open; blocks at most for the debts, and (retries + 1) times pause and patience. An
    /// exception ends it at once, apart from 5 and 6, which are asked again after 100 ms. After `lost` the
    /// link is closed: open() again. A connection that was closed before anything was sent is opened again
    /// without a word. Until it is known how the other side numbers its answers a read may be sent three
    /// times more. The host does not end it.
    /// A write is sent once: a second one is a second pulse of a relay, and after silence nobody knows
    /// whether the first was done. Only a device that says that it is busy (6) has not done it, and is asked
    /// again.
    [[nodiscard]] Exchange exchange(const BusRequest& request, const BusTiming& timing);
    /// When `request` may be sent without being mistaken; in the past if now.
    /// Later than now only in RTU framing, after an exchange with that unit went wrong. exchange() waits for
    /// it by itself.
    [[nodiscard]] SteadyTime clear_at(const BusRequest& request) const;
    /// How long requests that look alike wait after one with this timeout was given up.
    [[nodiscard]] std::chrono::nanoseconds clear_after(std::chrono::milliseconds timeout) const;

    /// What a request costs here, as measured; before that as assumed.
    /// 5 ms of turnaround on a serial line and 1 ms on TCP until answers came; each answer then counts for a
    /// tenth.
    [[nodiscard]] LinkCost cost(std::chrono::milliseconds pause) const;
    /// Answers that came to requests already given up: a timeout that is too short shows here.
    [[nodiscard]] std::uint64_t late_answers() const { return late_answers_; }
    [[nodiscard]] AnswerNumbers numbers() const { return numbering_.kind(); }
    void sleep(std::chrono::milliseconds time) { link_.sleep_until(link_.now() + time); }

private:
    /// One request, one wait, no retry.
    [[nodiscard]] Exchange attempt(const BusRequest& request, const BusTiming& timing);
    [[nodiscard]] Exchange attempt_rtu(const BusRequest& request, const BusTiming& timing);
    [[nodiscard]] Exchange attempt_tcp(const BusRequest& request, const BusTiming& timing);
    void take_tcp(Exchange& result, const ModbusAnswer& answer, const BusRequest& request, SteadyTime sent,
                  bool any_number);
    /// Nothing but the order of the answers tells which request one belongs to.
    [[nodiscard]] bool is_unnumbered() const {
        return settings_.rtu_framing || numbers() == AnswerNumbers::own;
    }
    /// The link must be open. False: it was closed, and could not be opened again.
    [[nodiscard]] bool reopen_if_closed();
    /// After a right answer with another number, the only one on its connection: is it always so?
    [[nodiscard]] bool learn_numbers(const Misfit& misfit);
    /// False: the link was lost meanwhile. What is heard may pay what is owed.
    [[nodiscard]] bool keep_silence(std::chrono::milliseconds pause);
    [[nodiscard]] bool await_owed(const BusRequest& request);
    void take_in(Bytes chunk);
    void sleep_through(std::size_t characters, SteadyTime deadline);
    void learn_turnaround(double us);
    [[nodiscard]] Exchange lose();
    [[nodiscard]] Exchange lost() const;

    LinkSettings settings_;
    BusConnection connection_;
    ByteLink& link_; ///< of the connection
    AnswerNumbering numbering_;

    std::chrono::nanoseconds character_{0}; ///< on a serial line
    std::chrono::nanoseconds silence_{0};
    SteadyTime quiet_since_{}; ///< last byte sent or received
    OwedAnswers owed_;
    int sent_ = 0;        ///< requests of the exchange that runs, all of them or a part
    bool echoes_ = false; ///< the line sends back what we send
    /// At most 600 bytes: twice the longest frame and an echo.
    std::vector<std::uint8_t> received_;
    double turnaround_us_;
    std::uint64_t late_answers_ = 0;
};

} // namespace things
