// SPDX-License-Identifier: Apache-2.0
#include "delivery/verdict.hpp"

#include "delivery/answer_body.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <tuple>

namespace things {

namespace {

constexpr Milliseconds longest_wait = hours(1);
// A redirect is mended by a person, not by trying again soon.
constexpr Milliseconds misdirected_wait = minutes(1);

std::string_view phrase_of(int status) {
    static constexpr std::array phrases =
        std::to_array<std::pair<int, std::string_view>>({{200, "OK"},
                                                         {202, "Accepted"},
                                                         {204, "No Content"},
                                                         {206, "Partial Content"},
                                                         {400, "Bad Request"},
                                                         {401, "Unauthorized"},
                                                         {403, "Forbidden"},
                                                         {404, "Not Found"},
                                                         {408, "Request Timeout"},
                                                         {409, "Conflict"},
                                                         {411, "Length Required"},
                                                         {413, "Content Too Large"},
                                                         {415, "Unsupported Media Type"},
                                                         {425, "Too Early"},
                                                         {429, "Too Many Requests"},
                                                         {500, "Internal Server Error"},
                                                         {502, "Bad Gateway"},
                                                         {503, "Service Unavailable"},
                                                         {504, "Gateway Timeout"}});
    const auto* found = std::find_if(phrases.begin(), phrases.end(),
                                     [status](const auto& entry) { return entry.first == status; });
    return found == phrases.end() ? std::string_view() : found->second;
}

std::string_view words_of(TransportError error) {
    switch (error) {
    case TransportError::none:
        return "no answer";
    case TransportError::resolve:
        return "no address for the host";
    case TransportError::connect:
        return "no connection";
    case TransportError::proxy:
        return "the proxy refused";
    case TransportError::certificate:
        return "certificate not accepted";
    case TransportError::tls:
        return "TLS failed";
    case TransportError::timeout:
        return "timed out";
    case TransportError::broken:
        return "connection lost";
    case TransportError::bad_answer:
        return "not a valid HTTP answer";
    case TransportError::too_large:
        return "answer too large";
    case TransportError::cancelled:
        return "cancelled";
    case TransportError::internal:
        return "HTTP library failed";
    case TransportError::not_signed:
        return "the pack could not be signed";
    }
    return "unknown";
}

bool is_success(int status) {
    return status >= 200 && status < 300;
}

/// What came with a status of success.
enum class Success : std::uint8_t {
    real,
    broken_off, ///< nothing can be said of it: the body is needed, and is not there in full
    page,       ///< HTML
    foreign,    ///< a status that is not the platform's, without a pack that would prove it all the same
};

/// The platform answers 202. Gateways, portals and caches answer 200 with a page, 204 or an error in JSON of
/// their own, and what they answered is delivered to nobody.
Success find_success(const Answer& answer) {
    const bool has_broken_off = answer.error != TransportError::none;
    // Some servers name a type although there is nothing: an empty body is not a page.
    const bool has_body = !answer.body.empty() || has_broken_off;
    if ((has_body && is_html_type(answer.content_type)) || is_html(answer.body))
        return Success::page;
    if (answer.status == 202)
        return Success::real;
    if (has_broken_off)
        return Success::broken_off;
    return is_senml(answer.body) ? Success::real : Success::foreign;
}

std::string describe_foreign(const Answer& answer, Success success) {
    const std::string gist = gist_of(answer.body);
    if (success == Success::page)
        return gist.empty() ? " with an HTML page" : fmt::format(" with an HTML page, \"{}\"", gist);
    return gist.empty() ? " without a SenML pack" : fmt::format(" without a SenML pack, but with: {}", gist);
}

std::string describe(const Answer& answer) {
    std::string text;
    if (answer.status != 0) {
        const std::string_view phrase = phrase_of(answer.status);
        text =
            phrase.empty() ? fmt::format("{}", answer.status) : fmt::format("{} {}", answer.status, phrase);
    }
    if (is_success(answer.status))
        if (const Success success = find_success(answer);
            success == Success::page || success == Success::foreign)
            text += describe_foreign(answer, success);
    if (answer.error != TransportError::none) {
        text += text.empty() ? "" : ", then ";
        text += words_of(answer.error);
        if (!answer.detail.empty())
            text += " (" + answer.detail + ")";
    }
    return text.empty() ? "no answer" : text;
}

/// The library's words stand for the cause only where they do not count milliseconds.
std::string find_cause(const Answer& answer) {
    const bool is_foreign = is_success(answer.status) && find_success(answer) != Success::real;
    const bool has_steady_words =
        answer.error == TransportError::certificate || answer.error == TransportError::proxy;
    return fmt::format("{} {} {} {}", answer.status, is_foreign, words_of(answer.error),
                       has_steady_words ? answer.detail : std::string());
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
        text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r'))
        text.remove_suffix(1);
    return text;
}

std::int64_t days_from_civil(std::int64_t year, int month, int day) {
    // Howard Hinnant's algorithm: years begin in March, eras of 400 years.
    year -= month <= 2 ? 1 : 0;
    const std::int64_t era = (year >= 0 ? year : year - 399) / 400;
    const std::int64_t year_of_era = year - era * 400;
    const std::int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146'097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719'468;
}

int month_of(std::string_view name) {
    static constexpr std::string_view names = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const std::size_t at = name.size() == 3 ? names.find(name) : std::string_view::npos;
    return at == std::string_view::npos || at % 3 != 0 ? 0 : static_cast<int>(at / 3) + 1;
}

Verdict judge_failure(const Answer& answer) {
    Verdict verdict;
    // What went wrong on this machine says nothing about the host.
    verdict.counts_for_breaker =
        answer.error != TransportError::cancelled && answer.error != TransportError::not_signed;
    switch (answer.error) {
    case TransportError::resolve:
    case TransportError::connect:
    case TransportError::proxy:
    case TransportError::certificate:
    case TransportError::tls:
        // Whatever device it was for, the next post will fare no better.
        verdict.scope = Scope::uplink;
        break;
    default:
        verdict.scope = Scope::device;
    }
    return verdict;
}

Verdict judge_success(const Answer& answer) {
    Verdict verdict;
    switch (find_success(answer)) {
    case Success::real:
        verdict.next = answer.error == TransportError::none ? Next::delivered : Next::delivered_with_error;
        break;
    case Success::broken_off:
        verdict.counts_for_breaker = answer.error != TransportError::cancelled;
        break;
    case Success::page:
    case Success::foreign:
        verdict.next = Next::misdirected;
        verdict.scope = Scope::uplink;
        verdict.wait = misdirected_wait;
        break;
    }
    return verdict;
}

Verdict judge_status(const Answer& answer, std::int64_t now_wall_ms) {
    Verdict verdict;
    const int status = answer.status;
    if (status >= 300 && status < 400) {
        verdict.next = Next::misdirected;
        verdict.scope = Scope::uplink;
        verdict.wait = misdirected_wait;
    } else if (status == 401 || status == 403 || status == 404) {
        verdict.next = Next::park;
    } else if (status == 413) {
        verdict.next = Next::halve;
    } else if (status == 408 || status == 425 || status == 429 || status >= 500 || status < 200) {
        // These are about the platform or the account, the others may be one device's.
        verdict.scope = status == 429 || status == 503 ? Scope::uplink : Scope::device;
        verdict.counts_for_breaker = true;
        verdict.wait = parse_retry_after(answer.retry_after, answer.date, now_wall_ms);
    } else {
        verdict.next = Next::bisect;
    }
    return verdict;
}

} // namespace

std::string_view name_of(AnswerClass kind) {
    static constexpr std::array<std::string_view, answer_classes> names = {
        "delivered",       "delivered_with_error", "network",   "tls",       "redirect",
        "refused_content", "refused_device",       "too_large", "throttled", "server",
        "intercepted"};
    return names.at(static_cast<std::size_t>(kind));
}

AnswerClass classify(const Answer& answer) {
    const int status = answer.status;
    if (is_success(status)) {
        const Success success = find_success(answer);
        if (success == Success::real)
            return answer.error == TransportError::none ? AnswerClass::delivered
                                                        : AnswerClass::delivered_with_error;
        return success == Success::broken_off ? AnswerClass::network : AnswerClass::intercepted;
    }
    if (status < 200)
        return answer.error == TransportError::certificate || answer.error == TransportError::tls
                   ? AnswerClass::tls
                   : AnswerClass::network;
    if (status < 400)
        return AnswerClass::redirect;
    if (status == 401 || status == 403 || status == 404)
        return AnswerClass::refused_device;
    if (status == 413)
        return AnswerClass::too_large;
    if (status == 429)
        return AnswerClass::throttled;
    if (status >= 500 || status == 408 || status == 425)
        return AnswerClass::server;
    return AnswerClass::refused_content;
}

Verdict judge(const Answer& answer, std::int64_t now_wall_ms) {
    Verdict verdict;
    if (is_success(answer.status))
        verdict = judge_success(answer);
    else if (answer.status < 200)
        verdict = judge_failure(answer);
    else
        verdict = judge_status(answer, now_wall_ms);
    verdict.reason = describe(answer);
    verdict.cause = find_cause(answer);
    return verdict;
}

std::optional<Milliseconds> parse_retry_after(std::string_view retry_after, std::string_view date,
                                              std::int64_t now_wall_ms) {
    const std::string_view text = trimmed(retry_after);
    if (text.empty())
        return std::nullopt;
    if (std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; })) {
        std::int64_t count = 0;
        const auto end = std::from_chars(text.data(), text.data() + text.size(), count);
        // A proxy's "come back tomorrow" must not silence the gateway for a day.
        if (end.ec != std::errc() || count > seconds(hours(1)).count())
            return longest_wait;
        return seconds(count);
    }
    const auto until = parse_http_date(text);
    if (!until)
        return std::nullopt;
    // By the clock that wrote both headers, since ours may be wrong.
    const std::int64_t now = parse_http_date(date).value_or(now_wall_ms / 1000);
    return std::clamp<Milliseconds>(seconds(*until - now), Milliseconds(0), longest_wait);
}

std::optional<std::int64_t> parse_http_date(std::string_view text) {
    if (text.size() > 40)
        return std::nullopt;
    const std::string line(trimmed(text));
    std::array<char, 4> month{};
    int year = 0, day = 0, hour = 0, minute = 0, second = 0, end = 0;
    const auto ended = [&line, &end] {
        return end > 0 && static_cast<std::size_t>(end) == line.size();
    };
    // RFC 9110 5.6.7: the present form, then the two that a recipient must still understand.
    const bool is_fixed = std::sscanf(line.c_str(), "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d GMT%n", &day,
                                      month.data(), &year, &hour, &minute, &second, &end) == 6 &&
                          ended();
    if (!is_fixed) {
        end = 0;
        const bool is_rfc850 = std::sscanf(line.c_str(), "%*9[A-Za-z], %2d-%3[A-Za-z]-%2d %2d:%2d:%2d GMT%n",
                                           &day, month.data(), &year, &hour, &minute, &second, &end) == 6 &&
                               ended();
        year += year < 70 ? 2000 : 1900;
        if (!is_rfc850) {
            end = 0;
            if (std::sscanf(line.c_str(), "%*3[A-Za-z] %3[A-Za-z] %2d %2d:%2d:%2d %4d%n", month.data(), &day,
                            &hour, &minute, &second, &year, &end) != 6 ||
                !ended())
                return std::nullopt;
        }
    }
    const int number = month_of(month.data());
    if (number == 0 || year < 1900 || day < 1 || day > 31 || hour < 0 || hour > 23 || minute < 0 ||
        minute > 59 || second < 0 || second > 60)
        return std::nullopt;
    return days_from_civil(year, number, day) * 86'400 + std::int64_t{hour} * 3600 +
           std::int64_t{minute} * 60 + second;
}

} // namespace things
