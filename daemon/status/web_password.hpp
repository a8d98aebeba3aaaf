// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <chrono>
#include <map>
#include <string>
#include <string_view>

// The password of the page, as HTTP Basic (RFC 7617) carries it; the user name is anybody's. Owned by the
// web server; loop only, nothing waits. After a wrong guess nothing from that address is looked at for a
// second, right or wrong: whoever asks is told how long, so that guessing on many connections gains nothing.
// Only the digest of the password is kept.
namespace things {

/// The address itself; of IPv6 its first half, since one host has 2^64 of the rest to come from. Pure.
std::string network_of(const std::string& address);

class WebPassword {
public:
    using Time = std::chrono::steady_clock::time_point;
    static constexpr std::chrono::seconds pause{1}; ///< after a wrong guess

    /// `password` empty: none is asked for.
    explicit WebPassword(const std::string& password);

    [[nodiscard]] bool is_asked() const { return is_asked_; }
    /// How long a guess from this address must wait before it may be compared; 0: not at all.
    [[nodiscard]] std::chrono::milliseconds wait(const std::string& address, Time now) const;
    /// Whether the value of an Authorization header has it. One that is wrong starts the pause.
    [[nodiscard]] bool admits(std::string_view authorization, const std::string& address, Time now);

private:
    using Digest = std::array<unsigned char, 32>;
    [[nodiscard]] static Digest digest_of(std::string_view text);

    bool is_asked_;
    Digest digest_;
    std::map<std::string, Time, std::less<>>
        shut_until_; ///< by network_of(); those that are over go at the next guess
};

} // namespace things
