// SPDX-License-Identifier: Apache-2.0
#include "modbus/answer_numbers.hpp"

namespace things {

namespace {

// Right answers under other numbers, in a row: each the first on its connection; or where numbers were right
// before, each after a full timeout.
constexpr int enough_strange = 3, enough_after_ours = 16;

} // namespace

// Never 0, and never the same with its bytes swapped: what some devices answer with.
std::uint16_t AnswerNumbering::next() {
    do
        ++transaction_;
    while (transaction_ >> 8 == (transaction_ & 0xFF));
    return transaction_;
}

// The answer to a write says what it confirms; with numbers of their own nothing else is under way.
bool AnswerNumbering::takes_any(const BusRequest& request) const {
    return kind_ == AnswerNumbers::own || (kind_ == AnswerNumbers::unknown && writes(request));
}

void AnswerNumbering::on_right() {
    kind_ = AnswerNumbers::ours;
    others_ = 0;
}

bool AnswerNumbering::on_other() {
    if (++others_ < enough_strange)
        return false;
    kind_ = AnswerNumbers::own;
    return true;
}

void AnswerNumbering::on_other_only() {
    if (kind_ != AnswerNumbers::ours || ++others_ < enough_after_ours)
        return;
    kind_ = AnswerNumbers::unknown; // the device was changed for another
    others_ = 0;
}

} // namespace things
