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
        CHECK((judge(answered(status), now_ms).next == Next::delivered) == (status == 202));
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

TEST_CASE("a success that another sign contradicts is none") {
    struct Case {
        int status;
        std::string_view type, body;
        Next next;
    };
    using namespace std::string_view_literals;
    constexpr std::string_view json = "application/json", html = "text/html; charset=utf-8", none = "";
    constexpr std::string_view pack = R"([{"bn":"urn:dev:DVNUUID:6f1c:"},{"n":"pump","vb":true}])";
    for (const Case& c : std::vector<Case>{
             {202, none, "", Next::delivered},
             {202, json, pack, Next::delivered},
             {202, "text/plain", "accepted", Next::delivered},
             {202, html, "", Next::delivered}, // a type alone is not a page
             {202, html, "<html><title>Log in</title></html>", Next::misdirected},
             {202, html, R"({"error":"log in"})", Next::misdirected},
             {202, "TEXT/HTML", "x", Next::misdirected},
             {202, "application/xhtml+xml", "x", Next::misdirected},
             {202, none, "<!DOCTYPE html>", Next::misdirected},
             {202, none, "\xef\xbb\xbf \r\n<!doctype HTML PUBLIC>", Next::misdirected},
             {202, none, "<!-- Wi-Fi --> <HTML lang=en>", Next::misdirected},
             {202, none, "<?xml version=\"1.0\"?>\n<html xmlns=\"x\">", Next::misdirected},
             {202, none, "\xff\xfe<\0h\0t\0m\0l\0>\0"sv, Next::misdirected},
             {202, json, "<head>", Next::misdirected},
             {202, none, "<htmlish>", Next::delivered},
             {200, json, pack, Next::delivered},
             {200, "text/plain", R"( [{"bn":"a:","n":"x","v":1.5e3,"t":-1},{"n":"y","vs":""}] )",
              Next::delivered},
             {201, none, pack, Next::delivered},
             {200, html, pack, Next::misdirected},
             {200, none, "", Next::misdirected},
             {200, json, "[]", Next::misdirected}, // RFC 8428 asks for one record at least
             {200, json, R"({"error":"down for maintenance"})", Next::misdirected},
             {200, json, R"([{"error":"down for maintenance"}])", Next::misdirected},
             {200, json, R"([{"n":"x","v":"1"}])", Next::delivered},
             {200, json, R"([{"n":"x","v":1,"vb":true}])", Next::delivered},
             {200, json, R"([{"n":"x","v":1,"must_":1}])", Next::delivered},
             {200, json, R"([{"n":"x","v":1})", Next::misdirected},
             {200, json, R"([[]])", Next::misdirected},
             {200, html, "<html>", Next::misdirected},
             {200, none, "ok", Next::misdirected},
             {203, none, pack, Next::delivered},
             {204, none, "", Next::misdirected},
             {205, none, "", Next::misdirected},
             {206, json, R"([{"n":)", Next::misdirected},
         }) {
        Answer answer = answered(c.status);
        answer.content_type = c.type;
        answer.body = c.body;
        const Verdict verdict = judge(answer, now_ms);
        CHECK_MESSAGE(verdict.next == c.next, c.status << ' ' << c.type << ' ' << c.body);
        CHECK((classify(answer) == AnswerClass::intercepted) == (c.next == Next::misdirected));
        CHECK((verdict.scope == Scope::uplink) == (c.next == Next::misdirected));
    }
}

TEST_CASE("an answer that broke off is a success only if what came of it can be one") {
    Answer answer = failed(TransportError::broken, 202);
    CHECK(judge(answer, now_ms).next == Next::delivered_with_error);
    answer.body = "[{\"n\":";
    CHECK(judge(answer, now_ms).next == Next::delivered_with_error);
    answer.body = "<html><ti";
    CHECK(judge(answer, now_ms).next == Next::misdirected);
    answer.body.clear();
    answer.content_type = "text/html";
    CHECK(judge(answer, now_ms).next == Next::misdirected);
    answer = failed(TransportError::broken, 200);
    answer.body = R"([{"n":"x","v":1}])";
    CHECK(judge(answer, now_ms).next == Next::retry);
    CHECK(classify(answer) == AnswerClass::network);
}

TEST_CASE("the title of a page is told, shortened and printable") {
    Answer answer = answered(200);
    const auto reason = [&answer](std::string_view body) {
        answer.body = body;
        return judge(answer, now_ms).reason;
    };
    CHECK(reason("<html><head><TITLE>\n Hotel \x1b[31m  Wi-Fi\xe2\x80\xae </TITLE>") ==
          "200 OK with an HTML page, \"Hotel [31m Wi-Fi\"");
    CHECK(reason("<html><body>x") == "200 OK with an HTML page");
    CHECK(reason("<html><title>" + std::string(100, 'x')) ==
          "200 OK with an HTML page, \"" + std::string(60, 'x') + '"');
    CHECK(reason("<html><title>caf\xc3\xa9\xff</title>") == "200 OK with an HTML page, \"caf\xc3\xa9\"");
    CHECK(reason("{\"error\":1}") == "200 OK without a SenML pack, but with: {\"error\":1}");
    CHECK(reason("") == "200 OK without a SenML pack");
    const Explanation words = explain(answer, {"prod.dm.kpnthings.com", "boiler", "6f1c", now_ms, true});
    CHECK(words.text().find("omething in between answers for the platform") != std::string::npos);
}

TEST_CASE("a pack that was not signed is a fault of this machine, not of the secret") {
    const Verdict verdict = judge(failed(TransportError::not_signed), now_ms);
    CHECK(verdict.next == Next::retry);
    CHECK_FALSE(verdict.counts_for_breaker);
    const Explanation words =
        explain(failed(TransportError::not_signed), {"h", "boiler", "6f1c", now_ms, true});
    CHECK(words.cause.find("could not compute the token") != std::string::npos);
    CHECK(words.text().find("secret") == std::string::npos);
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
