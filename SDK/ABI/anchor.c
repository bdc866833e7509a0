/*
 * A library whose symbols lead to every type of the interface, for `abidiff` to walk.
 * Written by `scripts/abi-layout --write` from the headers.
 */
#include <sluice/sluice.h>

sluice_slice *anchor_sluice_slice;
sluice_errbuf *anchor_sluice_errbuf;
sluice_pair *anchor_sluice_pair;
sluice_buf *anchor_sluice_buf;
sluice_token *anchor_sluice_token;
sluice_sink *anchor_sluice_sink;
sluice_value *anchor_sluice_value;
sluice_field *anchor_sluice_field;
sluice_headers *anchor_sluice_headers;
sluice_edit *anchor_sluice_edit;
sluice_edits *anchor_sluice_edits;
sluice_body_in *anchor_sluice_body_in;
sluice_body_out *anchor_sluice_body_out;
sluice_req *anchor_sluice_req;
sluice_tls_facts *anchor_sluice_tls_facts;
sluice_facts *anchor_sluice_facts;
sluice_reply *anchor_sluice_reply;
sluice_args *anchor_sluice_args;
sluice_hook *anchor_sluice_hook;
sluice_http_hooks *anchor_sluice_http_hooks;
sluice_host *anchor_sluice_host;
sluice_metric *anchor_sluice_metric;
sluice_task *anchor_sluice_task;
sluice_core *anchor_sluice_core;
sluice_slow_hook *anchor_sluice_slow_hook;
sluice_http *anchor_sluice_http;
sluice_instance *anchor_sluice_instance;
sluice_create_args *anchor_sluice_create_args;
sluice_factory *anchor_sluice_factory;
sluice_host_hello *anchor_sluice_host_hello;
sluice_plugin_hello *anchor_sluice_plugin_hello;
sluice_plugin_hello_fn *anchor_sluice_plugin_hello_fn;
sluice_peer_load *anchor_sluice_peer_load;
sluice_peer *anchor_sluice_peer;
sluice_peer_set *anchor_sluice_peer_set;
sluice_pick *anchor_sluice_pick;
sluice_lb *anchor_sluice_lb;
sluice_cache_part *anchor_sluice_cache_part;
sluice_cache_answer *anchor_sluice_cache_answer;
sluice_cache_lookup *anchor_sluice_cache_lookup;
sluice_cache_response *anchor_sluice_cache_response;
sluice_cache_chunk *anchor_sluice_cache_chunk;
sluice_cache_purge *anchor_sluice_cache_purge;
sluice_cache *anchor_sluice_cache;
sluice_handover *anchor_sluice_handover;
sluice_call_result *anchor_sluice_call_result;
sluice_call *anchor_sluice_call;
sluice_http_client *anchor_sluice_http_client;
sluice_metrics *anchor_sluice_metrics;
sluice_new_peer *anchor_sluice_new_peer;
sluice_peer_info *anchor_sluice_peer_info;
sluice_upstream_info *anchor_sluice_upstream_info;
sluice_probe_tls *anchor_sluice_probe_tls;
sluice_probe_tls_context *anchor_sluice_probe_tls_context;
sluice_probe_result *anchor_sluice_probe_result;
sluice_probe *anchor_sluice_probe;
sluice_peers_changed *anchor_sluice_peers_changed;
sluice_peers *anchor_sluice_peers;
sluice_key *anchor_sluice_key;
sluice_table *anchor_sluice_table;
sluice_bucket_answer *anchor_sluice_bucket_answer;
sluice_shared *anchor_sluice_shared;
sluice_thread_check *anchor_sluice_thread_check;
sluice_waitset *anchor_sluice_waitset;

int32_t sluice_plugin_hello_v0(
    const sluice_host_hello *host, sluice_plugin_hello *out) {
    (void)host, (void)out;
    return 0;
}
