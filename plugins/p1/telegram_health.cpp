// SPDX-License-Identifier: Apache-2.0
#include "p1/telegram_health.hpp"

#include <fmt/format.h>

#include <utility>

namespace things {

namespace {

std::string advice(DamageReason reason) {
    switch (reason) {
    case DamageReason::crc_mismatch:
        return "the checksum does not fit: bytes were lost or changed. A long or loose cable, a USB hub, or "
               "a busy "
               "machine; a foreign meter may need crc: x25";
    case DamageReason::crc_missing:
        return "the checksum is missing: the telegram was cut";
    case DamageReason::incomplete:
        return "it was cut: a loose cable, a hub, or a technician at the meter";
    case DamageReason::too_long:
        return "more than 16 KiB without an end: not a meter, or a stuck line";
    case DamageReason::character:
        return "characters with a parity error: a long or loose cable";
    case DamageReason::line_setting:
        return "this meter sends 7E1 and is read as 8N1: set frame: 7E1";
    case DamageReason::authentication:
        return "the encrypted frame does not verify: damaged, or key and aad are not those of this meter";
    }
    return {};
}

} // namespace

void TelegramHealth::on_open(std::int64_t now_ms) {
    is_first_ = true;
    last_good_ms_ = now_ms;
    if (std::exchange(is_lost_, false))
        problems_.end("link", where_ + " is open again");
}

void TelegramHealth::on_good(std::int64_t now_ms) {
    ++good_;
    is_first_ = false;
    last_good_ms_ = now_ms;
    if (std::exchange(is_silent_, false))
        problems_.end("silence", "telegrams come in again on " + where_);
    look(now_ms);
}

void TelegramHealth::on_damaged(const FoundTelegram& found, std::int64_t now_ms) {
    // A reader that comes in the middle of a telegram finds the rest of it: not worth a word.
    if (std::exchange(is_first_, false) && found.reason != DamageReason::line_setting)
        return;
    // What ends this spell is to count it alone.
    if (!is_damaging_) {
        damaged_before_ = damaged_;
        good_before_ = good_;
    }
    ++damaged_;
    last_damaged_ms_ = now_ms;
    if (is_damaging_ && reason_ == found.reason)
        return;
    is_damaging_ = true;
    reason_ = found.reason;
    std::string checksum;
    if (found.stated && found.computed)
        checksum = fmt::format(" (it says {:04X}, computed {:04X})", *found.stated, *found.computed);
    problems_.begin(
        "damaged_telegram",
        fmt::format(
            "a damaged telegram of {} bytes came on {}{}: {}. Nothing of it is used; {} damaged, {} good "
            "since the start",
            found.length, where_, checksum, advice(found.reason), damaged_, good_));
}

void TelegramHealth::on_silence(const std::string& explanation) {
    if (std::exchange(is_silent_, true))
        return;
    problems_.begin("silence", fmt::format("no good telegram on {} ({} good, {} damaged since the start): {}",
                                           where_, good_, damaged_, explanation));
}

void TelegramHealth::on_link_lost(const std::string& why) {
    is_lost_ = true;
    lost_why_ = why;
    tell_link();
}

void TelegramHealth::tell_link() {
    problems_.begin("link", lost_why_);
}

void TelegramHealth::look(std::int64_t now_ms) {
    if (!is_damaging_ || now_ms - last_damaged_ms_ < calm_ms)
        return;
    is_damaging_ = false;
    problems_.end("damaged_telegram",
                  fmt::format("no damaged telegram on {} for {} minutes; there were {} beside {} good ones",
                              where_, calm_ms / 60'000, damaged_ - damaged_before_, good_ - good_before_));
}

} // namespace things
