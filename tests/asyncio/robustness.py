"""The ordinary faults of WebSocket libraries by class, as their users have reported them, and where each is tested."""

from __future__ import annotations

# What each class is, and the tests of it that stand elsewhere; the others stand in `test_net_robustness.py`, and begin
# with its name. Each class takes a peer to meet it, and so has a test with a good one beside that.
CLASSES: dict[str, tuple[str, dict[str, list[str]]]] = {
    "R1": (
        "memory for each connection that compresses",
        {
            "asyncio/test_net_deflate.py": [
                "test_nothing_is_kept_of_a_connection_that_has_ended",
                "test_a_bomb_costs_the_limit_and_a_mebibyte_at_most",
            ],
            "test_connection_deflate.py": [
                "test_nothing_is_made_before_it_is_needed",
                "test_all_is_dropped_when_the_connection_ends",
            ],
        },
    ),
    "R2": (
        "recv that is cancelled loses a message",
        {
            "asyncio/test_net_messages.py": [
                "test_recv_cancelled_as_the_message_comes_loses_nothing",
                "test_streaming_recv_cancelled_midway_goes_on_later",
            ],
            "asyncio/test_net_calls.py": ["test_call_cancelled_before_it_began_loses_no_message"],
        },
    ),
    "R3": (
        "send that is cancelled leaves half a message",
        {
            "asyncio/test_net_flow.py": ["test_send_cancelled_leaves_the_stream_whole"],
            "asyncio/test_net_background.py": [
                "test_call_that_is_cancelled_is_sent_all_the_same",
                "test_call_that_is_cancelled_while_it_waits_is_not_sent",
            ],
            "asyncio/test_net_messages.py": ["test_send_fragments_cancelled_midway_fails_the_connection"],
        },
    ),
    "R4": (
        "senders at the same time",
        {
            "asyncio/test_net_flow.py": ["test_concurrent_senders_and_pings_in_a_storm"],
            "asyncio/test_net_messages.py": ["test_send_fragments_lets_pings_pass_and_messages_wait"],
            "asyncio/test_net_background.py": ["test_order_is_that_of_the_calls"],
        },
    ),
    "R5": (
        "close that hangs, or takes several timeouts",
        {
            "asyncio/test_net_closing.py": [
                "test_peer_that_never_answers_close_is_cut",
                "test_close_with_a_full_queue_does_not_hang",
                "test_close_to_a_peer_that_does_not_read_is_cut",
            ],
            "asyncio/test_net_tls_unix.py": ["test_tls_full_queue_and_close"],
        },
    ),
    "R6": (
        "frames after the end",
        {
            "asyncio/test_net_closing.py": [
                "test_bytes_after_the_end_are_dropped",
                "test_calls_after_the_end_raise_one_error",
                "test_no_frame_follows_the_close_frame",
            ],
            "asyncio/test_net_keepalive.py": ["test_keepalive_stops_as_the_close_starts"],
        },
    ),
    "R7": (
        "dead peer that is not noticed",
        {
            "asyncio/test_net_keepalive.py": [
                "test_keepalive_silent_peer_is_given_up",
                "test_keepalive_silent_peer_that_does_not_read_is_given_up",
                "test_keepalive_peer_that_takes_nothing_is_given_up_even_while_we_do_not_listen",
            ],
        },
    ),
    "R8": (
        "one connection stops the server",
        {
            "asyncio/test_net_server.py": ["test_a_bad_peer_next_to_a_good_one"],
            "asyncio/test_net_isolation.py": [
                "test_handler",
                "test_callback_of_a_server",
                "test_callback_of_a_client",
                "test_callback_of_the_handshake",
            ],
            "asyncio/test_net_deflate.py": ["test_offences_end_the_connection_and_not_the_server"],
        },
    ),
    "R9": (
        "exception in a callback of the event loop",
        {
            "asyncio/test_net_opening.py": ["test_process_request_and_a_client_that_leaves"],
            "asyncio/test_net_server.py": ["test_shutdown_refuses_who_was_accepted_just_before"],
        },
    ),
    "R10": (
        "frame that is cut by reads",
        {
            "test_connection.py": [
                "test_connection_vector_events",
                "test_connection_vector_fault_closes",
                "test_connection_receive_takes_any_buffer",
                "test_connection_flow_byte_by_byte",
            ],
        },
    ),
    "R11": (
        "lost writes, and a peer that reads slowly",
        {
            "asyncio/test_net_flow.py": [
                "test_send_waits_for_a_slow_reader_and_all_arrives",
                "test_send_waiting_senders_are_told_of_a_lost_connection",
            ],
        },
    ),
    "R12": (
        "sockets, tasks and loggers that are left",
        {
            "asyncio/test_net_server.py": [
                "test_many_connections_leave_nothing",
                "test_nothing_refers_to_a_connection_that_is_lost",
            ],
            "asyncio/test_net_opening.py": [
                "test_connect_cancelled_leaves_no_socket",
                "test_connect_cancelled_at_any_tick",
            ],
        },
    ),
    "R13": (
        "received messages without limit",
        {
            "asyncio/test_net_flow.py": [
                "test_reading_is_paused_and_goes_on",
                "test_peer_that_sends_and_never_reads_is_not_read",
                "test_callback_that_answers_a_peer_that_never_reads_is_not_called_for_ever",
            ],
        },
    ),
    "R14": (
        "keepalive that closes a healthy connection",
        {
            "asyncio/test_net_keepalive.py": [
                "test_keepalive_any_byte_is_a_sign_of_life",
                "test_keepalive_unread_messages_are_no_death",
            ],
        },
    ),
    "R15": (
        "handshake that is too lenient or too strict",
        {
            "asyncio/test_net_opening.py": ["test_subprotocols", "test_connect_to_a_wrong_server"],
            "test_handshake.py": [
                "test_server_repeated_origin_refused_even_unchecked",
                "test_client_subprotocol_never_offered_refused",
            ],
        },
    ),
    "R16": (
        "wrong close code",
        {
            "asyncio/test_net_closing.py": [
                "test_close_with_a_code_that_may_not_be_sent_changes_nothing",
                "test_eof_without_close_is_1006",
                "test_reset_is_1006",
                "test_recv_that_waits_is_woken",
            ],
            "asyncio/test_net_server.py": ["test_handler_that_raises_closes_with_1011_and_the_others_live_on"],
        },
    ),
    # There are no redirects and no proxies, so there is nothing to follow wrongly. A proxy is refused as a setting,
    # where a peer has no part.
    "R17": ("redirects and proxies", {"asyncio/test_net_opening.py": ["test_wrong_settings_are_refused_at_once"]}),
}
