// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "link/byte_link.hpp"
#include "modbus/frame.hpp"
#include "modbus/modbus_settings.hpp"
#include "modbus/owed_answers.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <utility>
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
        lost       ///< the link is gone; see ModbusBus::trouble()
    };
    Status status = Status::silent;
    std::uint8_t code = 0;
    Misfit misfit{};
    bool was_sent = false; ///< a byte of the request may have reached the device
    int attempts = 0;
    std::uint32_t duration_us = 0; ///< of the last attempt
    std::vector<std::uint16_t> words{};
};

/// How the other side numbers its answers on TCP.
/// ours: as the protocol wants it, so that a late answer is known by its number. own: in a way of its own (0
/// each time, a counter, bytes swapped): then what may still be owed is waited for, as with RTU frames.
enum class AnswerNumbers : std::uint8_t { unknown, ours, own };

/// Invariant: at most one request is under way, and before it is sent the line was silent for silence_ and
/// the device's pause. A line that is never silent is used all the same after half a second.
class ModbusBus {
public:
    /// `host`, which outlives the bus, may end a wait for a connection early; null: nobody does.
    ModbusBus(const LinkSettings& settings, const PluginHost* host);
    /// Over this link, whose time is the only one that counts.
    ModbusBus(const LinkSettings& settings, std::unique_ptr<ByteLink> link, const PluginHost* host);
    ~ModbusBus();

    /// Opens the link unless it is open. After a failure it is tried again only when a growing time is over
    /// (TCP, spread by chance so that many do not come at once) or every half second (serial); until then the
    /// same trouble is returned at once. Returns when `connect_delay` is over, which the host ends early.
    [[nodiscard]] std::optional<LinkTrouble> open();
    [[nodiscard]] bool is_open() const { return link_->is_open(); }
    /// When open() will try; in the past if now.
    [[nodiscard]] SteadyTime next_open() const { return next_open_; }
    /// Whether anything was answered since the link was opened.
    [[nodiscard]] bool has_answered() const { return answered_; }
    /// Debts stay: a serial server may outlive the connection and hand a late answer to the next one.
    void close();
    /// True once after the link was opened.
    /// For a caller that must look again at what may have been plugged in meanwhile.
    [[nodiscard]] bool take_reopened();

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

    [[nodiscard]] const LinkTrouble& trouble() const { return trouble_; }
    /// What a request costs here, as measured; before that as assumed.
    /// 5 ms of turnaround on a serial line and 1 ms on TCP until answers came; each answer then counts for a
    /// tenth.
    [[nodiscard]] LinkCost cost(std::chrono::milliseconds pause) const;
    /// Answers that came to requests already given up: a timeout that is too short shows here.
    [[nodiscard]] std::uint64_t late_answers() const { return late_answers_; }
    [[nodiscard]] AnswerNumbers numbers() const { return numbers_; }
    /// What was learned of the other side, for a technician; once.
    [[nodiscard]] std::optional<LinkTrouble> take_note() { return std::exchange(note_, std::nullopt); }
    void sleep(std::chrono::milliseconds time) { link_->sleep_until(link_->now() + time); }

private:
    /// One request, one wait, no retry.
    [[nodiscard]] Exchange attempt(const BusRequest& request, const BusTiming& timing);
    [[nodiscard]] Exchange attempt_rtu(const BusRequest& request, const BusTiming& timing);
    [[nodiscard]] Exchange attempt_tcp(const BusRequest& request, const BusTiming& timing);
    /// Nothing but the order of the answers tells which request one belongs to.
    [[nodiscard]] bool is_unnumbered() const {
        return settings_.rtu_framing || numbers_ == AnswerNumbers::own;
    }
    [[nodiscard]] std::optional<LinkTrouble> await_ready();
    /// The link must be open. False: it was closed, and could not be opened again.
    [[nodiscard]] bool reopen_if_closed();
    /// After a right answer with another number, the only one on its connection: is it always so?
    [[nodiscard]] bool learn_numbers(const Misfit& misfit);
    void learn_closing();
    unsigned settle(Bytes received);
    [[nodiscard]] bool came_damaged(const Exchange& result, const BusRequest& request) const;
    /// False: the link was lost meanwhile. What is heard may pay what is owed.
    [[nodiscard]] bool keep_silence(std::chrono::milliseconds pause);
    [[nodiscard]] bool await_owed(const BusRequest& request);
    void finish(Exchange& result, const ModbusAnswer& answer, const BusRequest& request) const;
    void take_in(Bytes chunk);
    void sleep_through(std::size_t characters, SteadyTime deadline);
    void learn_turnaround(double us);
    [[nodiscard]] Exchange lose();
    [[nodiscard]] Exchange lost() const;
    void next_transaction();
    [[nodiscard]] SteadyTime reopen_time();

    LinkSettings settings_;
    const PluginHost* host_;
    std::unique_ptr<ByteLink> link_;
    LinkTrouble trouble_;
    SteadyTime next_open_{};
    std::chrono::milliseconds reopen_wait_{0}; ///< at most; a part of it is left to chance
    std::minstd_rand random_;
    SteadyTime ready_{}; ///< the connect_delay is over
    bool reopened_ = false;
    bool was_away_ = true;     ///< it was never opened, or could not be
    bool answered_ = false;    ///< since it was opened
    int answers_ = 0;          ///< since it was opened
    int closed_after_one_ = 0; ///< connections in a row that brought one answer
    bool is_for_one_ = false;  ///< each connection brings one answer
    SteadyTime last_answer_{};
    AnswerNumbers numbers_ = AnswerNumbers::unknown;
    int misnumbered_ = 0; ///< answers in a row
    std::optional<LinkTrouble> note_;

    std::chrono::nanoseconds character_{0}; ///< on a serial line
    std::chrono::nanoseconds silence_{0};
    SteadyTime quiet_since_{}; ///< last byte sent or received
    OwedAnswers owed_;
    int sent_ = 0;        ///< requests of the exchange that runs, all of them or a part
    bool echoes_ = false; ///< the line sends back what we send
    std::uint16_t transaction_ = 0;
    /// At most 600 bytes: twice the longest frame and an echo.
    std::vector<std::uint8_t> received_;
    double turnaround_us_;
    std::uint64_t late_answers_ = 0;
};

} // namespace things
