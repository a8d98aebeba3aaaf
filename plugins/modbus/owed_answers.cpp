// SPDX-License-Identifier: Apache-2.0
#include "modbus/owed_answers.hpp"

#include <algorithm>

namespace things {

namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr int late_factor = 5; // an answer later than so many timeouts does not come
constexpr milliseconds late_margin{250};

bool is_same(const BusRequest& a, const BusRequest& b) {
    return a.unit == b.unit && a.function == b.function && a.address == b.address && a.count == b.count;
}

// An answer to `a` could be taken for one to `b`. Answers to writes name their address.
bool could_be_taken_for(const BusRequest& a, const BusRequest& b) {
    return a.unit == b.unit && a.function == b.function && a.function <= 4 && !is_same(a, b) &&
           rtu_answer_size(a) == rtu_answer_size(b);
}

} // namespace

SteadyTime OwedAnswers::clear_at(const BusRequest& request) const {
    SteadyTime when{};
    for (const Debt& debt : debts_)
        if (could_be_taken_for(debt.request, request))
            when = std::max(when, debt.until);
    return when;
}

milliseconds OwedAnswers::longest(milliseconds timeout) {
    return late_factor * timeout + late_margin;
}

void OwedAnswers::forgive(SteadyTime now) {
    std::erase_if(debts_, [now](const Debt& debt) { return debt.until <= now; });
}

unsigned OwedAnswers::settle(Bytes received) {
    const auto copy = std::search(received.begin(), received.end(), last_answer_.begin(), last_answer_.end());
    if (!last_answer_.empty() && copy != received.end()) {
        const auto before = static_cast<std::size_t>(copy - received.begin());
        return settle(received.first(before)) + settle(received.subspan(before + last_answer_.size()));
    }
    const auto paid = std::find_if(debts_.begin(), debts_.end(), [received](const Debt& debt) {
        return find_rtu_answer(received, debt.request).kind != ModbusAnswer::Kind::incomplete;
    });
    if (paid == debts_.end())
        return 0;
    debts_.erase(paid);
    return 1;
}

// A unit answers in the order in which it was asked: what it was asked before this it will not answer any
// more. The answer may have been that to the same request of an older debt.
void OwedAnswers::forgive_before(const BusRequest& request) {
    const auto same = std::find_if(debts_.begin(), debts_.end(),
                                   [&request](const Debt& debt) { return is_same(debt.request, request); });
    debts_.erase(std::remove_if(debts_.begin(), same,
                                [&request](const Debt& debt) { return debt.request.unit == request.unit; }),
                 same);
}

void OwedAnswers::note(const BusRequest& request, const ExchangeEnd& end) {
    forgive(end.now);
    if (end.is_answered && !end.is_exception)
        forgive_before(request);
    // Of all requests sent, one was answered, whichever it was; older debts for the same request stay.
    // Attempts that were answered by a damaged frame owe nothing, but which those were is not certain. An
    // exception may be the answer to another request that was given up.
    const bool is_doubtful =
        end.is_exception && std::any_of(debts_.begin(), debts_.end(), [&request](const Debt& debt) {
            return debt.request.unit == request.unit && debt.request.function == request.function;
        });
    const int owed = end.is_answered && !is_doubtful ? end.sent - 1 : end.sent;
    const milliseconds latest = longest(end.timeout);
    // The answer may have been that to the same request of the oldest debt: then this one is owed in its
    // place.
    const auto oldest = std::find_if(debts_.begin(), debts_.end(),
                                     [&request](const Debt& debt) { return is_same(debt.request, request); });
    if (end.is_answered && oldest != debts_.end()) {
        oldest->until = end.now + latest;
        std::rotate(oldest, oldest + 1, debts_.end());
    }
    if (owed == 0)
        return;
    // Where damaged answers came, whatever the device still owes takes about as long as the good one took.
    const nanoseconds as_the_good = 2 * (end.now - end.first_sent) + late_margin;
    const bool is_soon = end.is_answered && !end.was_silent && !is_doubtful;
    BusRequest bare = request;
    bare.values.clear();
    debts_.insert(debts_.end(), static_cast<std::size_t>(owed),
                  Debt{bare, end.now + (is_soon ? std::min<nanoseconds>(as_the_good, latest) : latest)});
}

} // namespace things
