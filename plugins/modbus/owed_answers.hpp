// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "link/stream.hpp"
#include "modbus/frame.hpp"

#include <chrono>
#include <cstdint>
#include <vector>

// Answers that may still come to requests that were given up. On TCP the transaction number tells them apart.
// In RTU frames an answer to a read says neither address nor number, so a request that was given up leaves a
// debt: until its answer has come, or cannot come any more, no other request of the same unit, function and
// length is sent. Sending the same request again is harmless, since either answer is one to it. Pure but for
// its memory; used on the source's thread only.
namespace things {

/// An exchange that is over, as far as answers may be owed after it.
struct ExchangeEnd {
    SteadyTime first_sent, now;
    int sent = 0;                         ///< requests, one for each attempt
    std::chrono::milliseconds timeout{0}; ///< an answer later than five of these does not come
    bool is_answered = false;             ///< by data or by an exception
    bool is_exception = false;            ///< which names neither address nor length
    bool was_silent = false;              ///< in one attempt at least nothing came that could be its answer
};

/// The debts of one line. They outlive the link: a device or a serial server hands a late answer to the next
/// one, also through an adapter that was pulled out and put back.
class OwedAnswers {
public:
    /// When no answer can come any more that would be taken for one to `request`; in the past if none is
    /// owed.
    [[nodiscard]] SteadyTime clear_at(const BusRequest& request) const;
    /// After a request with this timeout.
    [[nodiscard]] static std::chrono::milliseconds longest(std::chrono::milliseconds timeout);
    /// Forgives what cannot come any more: at most five timeouts and 250 ms after the exchange.
    void forgive(SteadyTime now);
    /// An answer that was taken, as it came, so that a repetition of it pays no debt.
    void remember(Bytes answer) { last_answer_.assign(answer.begin(), answer.end()); }
    /// Takes off the list what `received`, which came when nothing was asked, is the answer to.
    /// Returns how many were paid.
    unsigned settle(Bytes received);
    /// Notes which of the requests sent may still be answered.
    void note(const BusRequest& request, const ExchangeEnd& end);

private:
    struct Debt {
        BusRequest request;
        SteadyTime until;
    };
    void forgive_before(const BusRequest& request);

    std::vector<Debt> debts_; ///< in the order in which they were sent
    std::vector<std::uint8_t> last_answer_;
};

} // namespace things
