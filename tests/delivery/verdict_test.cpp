// SPDX-License-Identifier: Apache-2.0
#include "delivery/explanation.hpp"
#include "delivery/verdict.hpp"

#include <doctest/doctest.h>

#include <random>

using namespace things;

namespace {

constexpr std::int64_t now_ms = 1'700'000'000'000; // Tue, 14 Nov 2023 22:13:20 GMT

Answer answered(int status, std::string retry_after = {}) {
    Answer answer;
    answer.status = status;
    answer.sent = true;
    answer.retry_after = std::move(retry_after);
    return answer;
}

Answer failed(TransportError error, int status = 0) {
    Answer answer;
    answer.status = status;
    answer.error = error;
    return answer;
}

} // namespace

TEST_CASE("every status has its verdict") {
    for (int status = 200; status < 300; ++status)
        CHECK(judge(answered(status), now_ms).next == Next::delivered);
    for (int status = 300; status < 400; ++status) {
        const Verdict verdict = judge(answered(status), now_ms);
        CHECK(verdict.next == Next::misdirected);
        CHECK(verdict.scope == Scope::uplink);
    }
    for (int status = 400; status < 500; ++status) {
        const Verdict verdict = judge(answered(status), now_ms);
        Next expected = Next::bisect;
        if (status == 401 || status == 403 || status == 404)
            expected = Next::park;
        else if (status == 408 || status == 425 || status == 429)
            expected = Next::retry;
        else if (status == 413)
            expected = Next::halve;
        CHECK_MESSAGE(verdict.next == expected, status);
        CHECK((verdict.scope == Scope::uplink) == (status == 429));
    }
    for (int status = 500; status < 1000; ++status) {
        const Verdict verdict = judge(answered(status), now_ms);
        CHECK(verdict.next == Next::retry);
        CHECK((verdict.scope == Scope::uplink) == (status == 503));
        CHECK(verdict.counts_for_breaker);
    }
}

TEST_CASE("a transport error without a status is a retry with a reason") {
    for (int error = 1; error <= static_cast<int>(TransportError::internal); ++error) {
        const Verdict verdict = judge(failed(static_cast<TransportError>(error)), now_ms);
        CHECK(verdict.next == Next::retry);
        CHECK(verdict.reason.size() > 5);
    }
    CHECK(judge(failed(TransportError::connect), now_ms).scope == Scope::uplink);
    CHECK(judge(failed(TransportError::certificate), now_ms).scope == Scope::uplink);
    CHECK(judge(failed(TransportError::broken), now_ms).scope == Scope::device);
    CHECK_FALSE(judge(failed(TransportError::cancelled), now_ms).counts_for_breaker);
}

TEST_CASE("a 2xx that is followed by a transport error is delivered, and told apart") {
    const Answer answer = failed(TransportError::broken, 202);
    CHECK(judge(answer, now_ms).next == Next::delivered_with_error);
    CHECK(classify(answer) == AnswerClass::delivered_with_error);
    CHECK(judge(failed(TransportError::broken, 503), now_ms).next == Next::retry);
    CHECK(judge(failed(TransportError::too_large, 401), now_ms).next == Next::park);
}

TEST_CASE("Retry-After is seconds or a date, at most an hour, and junk is ignored") {
    auto wait = [](const char* text, const char* date = "") {
        return parse_retry_after(text, date, now_ms);
    };
    CHECK(wait("0") == Milliseconds(0));
    CHECK(wait("5") == seconds(5));
    CHECK(wait(" 5 ") == seconds(5));
    CHECK(wait("3600") == hours(1));
    CHECK(wait("31536000") == hours(1));
    CHECK(wait("99999999999999999999999999") == hours(1));
    CHECK(wait("Tue, 14 Nov 2023 22:14:20 GMT") == minutes(1));
    CHECK(wait("Tue, 14 Nov 2023 22:12:20 GMT") == Milliseconds(0));
    CHECK(wait("Thu, 14 Nov 2024 22:14:20 GMT") == hours(1));
    CHECK(wait("Tuesday, 14-Nov-23 22:14:20 GMT") == minutes(1));
    CHECK(wait("Tue Nov 14 22:14:20 2023") == minutes(1));
    // our clock is wrong: the platform's own counts
    CHECK(wait("Tue, 14 Nov 2000 22:14:20 GMT", "Tue, 14 Nov 2000 22:14:10 GMT") == seconds(10));
    for (const char* junk :
         {"", " ", "-1", "+5", "5s", "1.5", "soon", "0x10", "Tue, 14 Nov 2023 22:14:20",
          "Tue, 32 Nov 2023 22:14:20 GMT", "Tue, 14 Nox 2023 22:14:20 GMT", "Tue, 14 Nov 2023 25:14:20 GMT",
          "Tue, 14 Nov 2023 22:14:20 GMT and more", "Tue, 14 anF 2023 22:14:20 GMT"})
        CHECK_MESSAGE(!wait(junk), junk);
    CHECK(judge(answered(503, "7"), now_ms).wait == seconds(7));
    CHECK_FALSE(judge(answered(503, "never"), now_ms).wait);
}

TEST_CASE("dates are right over the centuries") {
    CHECK(parse_http_date("Thu, 01 Jan 1970 00:00:00 GMT") == 0);
    CHECK(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT") == 784'111'777);
    CHECK(parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT") == 784'111'777);
    CHECK(parse_http_date("Sun Nov  6 08:49:37 1994") == 784'111'777);
    CHECK(parse_http_date("Thu, 29 Feb 2024 12:00:00 GMT") == 1'709'208'000);
    CHECK(parse_http_date("Tue, 19 Jan 2038 03:14:08 GMT") == 2'147'483'648);
}

TEST_CASE("any header text is taken without harm") {
    std::mt19937 random(3);
    const std::string letters = "0123456789 ,:-GMTJanFebThu\t\"\\\x01\xff";
    for (int i = 0; i < 200'000; ++i) {
        std::string text(random() % 45, ' ');
        for (char& c : text)
            c = letters[random() % letters.size()];
        if (const auto wait = parse_retry_after(text, text, now_ms)) {
            CHECK(wait->count() >= 0);
            CHECK(*wait <= hours(1));
        }
    }
}

TEST_CASE("a technician reads what was answered, why, and what to do") {
    Circumstances around{"prod.dm.kpnthings.com", "boiler", "6f1c2b9e-4a57-4d0b-9c3e-2f8a1d7e5b40", now_ms,
                         true};
    const Explanation accepted = explain(answered(202), around);
    CHECK(accepted.text() == "prod.dm.kpnthings.com accepted the pack: 202 Accepted.");
    CHECK(explain(answered(401), around).cause.find("secret of boiler") != std::string::npos);
    CHECK(explain(answered(404), around).cause.find(around.dvnuuid) != std::string::npos);
    for (int status : {302, 400, 401, 403, 404, 408, 409, 413, 425, 429, 500, 503, 999}) {
        const Explanation explanation = explain(answered(status), around);
        CHECK_MESSAGE(explanation.answer.find(std::to_string(status)) != std::string::npos, status);
        CHECK_MESSAGE(!explanation.cause.empty(), status);
        CHECK_MESSAGE(!explanation.remedy.empty(), status);
    }
    Answer late = answered(401);
    late.date = "Tue, 14 Nov 2023 23:13:20 GMT";
    CHECK(explain(late, around).answer.find("3600 s behind") != std::string::npos);
    Answer tls = failed(TransportError::certificate);
    tls.detail = "SSL certificate problem: certificate is not yet valid";
    CHECK(explain(tls, around).cause.find("clock") != std::string::npos);
    tls.detail = "SSL certificate problem: self-signed certificate";
    CHECK(explain(tls, around).cause.find("captive portal") != std::string::npos);
    around.is_clock_plausible = false;
    CHECK(explain(tls, around).cause.find("clock is wrong") != std::string::npos);
}
