#include <limits.h>
#include "COpenSSL.h"

int copenssl_cipher_count(const SSL_CTX *ctx) {
    return sk_SSL_CIPHER_num(SSL_CTX_get_ciphers(ctx));
}

const SSL_CIPHER *copenssl_cipher_at(const SSL_CTX *ctx, int index) {
    return sk_SSL_CIPHER_value(SSL_CTX_get_ciphers(ctx), index);
}

GENERAL_NAMES *copenssl_names(const X509 *certificate) {
    return X509_get_ext_d2i(certificate, NID_subject_alt_name, 0, 0);
}

long copenssl_name(const GENERAL_NAMES *names, int index, const unsigned char **bytes) {
    if (index >= sk_GENERAL_NAME_num(names)) return -1;
    const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, index);
    if (name->type != GEN_DNS) return 0;
    *bytes = ASN1_STRING_get0_data(name->d.dNSName);
    return ASN1_STRING_length(name->d.dNSName);
}

void copenssl_names_free(GENERAL_NAMES *names) {
    GENERAL_NAMES_free(names);
}

int copenssl_ctx_add_client_ca(SSL_CTX *ctx, X509 *certificate) {
    return SSL_CTX_add_client_CA(ctx, certificate);
}

/* Seconds that the clocks of the responder and of this machine may differ. */
static const long clock_skew = 300;

static int check_single(OCSP_SINGLERESP *single) {
    ASN1_GENERALIZEDTIME *from = 0;
    ASN1_GENERALIZEDTIME *until = 0;
    int status = OCSP_single_get0_status(single, 0, 0, &from, &until);
    if (status == V_OCSP_CERTSTATUS_REVOKED) return COPENSSL_OCSP_REVOKED;
    if (status != V_OCSP_CERTSTATUS_GOOD) return COPENSSL_OCSP_UNKNOWN;
    if (!OCSP_check_validity(from, until, clock_skew, -1)) return COPENSSL_OCSP_STALE;
    return COPENSSL_OCSP_GOOD;
}

/* Seconds from now to the time at which `check_single` finds a response out of date; LONG_MAX when
 * it does not say. */
static long seconds_left(OCSP_SINGLERESP *single) {
    ASN1_GENERALIZEDTIME *next = 0;
    OCSP_single_get0_status(single, 0, 0, 0, &next);
    int days = 0, seconds = 0;
    if (next == 0 || !ASN1_TIME_diff(&days, &seconds, 0, next)) return LONG_MAX;
    return days * 86400L + seconds + clock_skew;
}

int copenssl_ocsp_check(const unsigned char *bytes, long count, const X509 *certificate,
                        long *seconds) {
    const unsigned char *at = bytes;
    int result = COPENSSL_OCSP_UNREADABLE;
    OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(0, &at, count);
    if (response == 0 || at != bytes + count) goto end;
    if (OCSP_response_status(response) != OCSP_RESPONSE_STATUS_SUCCESSFUL) {
        result = COPENSSL_OCSP_NOT_SUCCESSFUL;
        goto end;
    }
    OCSP_BASICRESP *basic = OCSP_response_get1_basic(response);
    if (basic == 0) goto end;
    result = COPENSSL_OCSP_OTHER_CERTIFICATE;
    for (int index = 0; index < OCSP_resp_count(basic); index++) {
        OCSP_SINGLERESP *single = OCSP_resp_get0(basic, index);
        ASN1_INTEGER *serial = 0;
        OCSP_id_get0_info(0, 0, 0, &serial, (OCSP_CERTID *)OCSP_SINGLERESP_get0_id(single));
        if (ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(certificate)) == 0) {
            result = check_single(single);
            *seconds = seconds_left(single);
            break;
        }
    }
    OCSP_BASICRESP_free(basic);
end:
    OCSP_RESPONSE_free(response);
    return result;
}
