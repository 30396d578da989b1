//! Numbers of the IANA registry "Internet Key Exchange Version 2 (IKEv2) Parameters".
//!
//! Every number is an open newtype: one that has no name here is kept, compared and shown like any other.

use core::fmt;

/// Defines open newtypes with their named numbers; `Display` writes the registry's name, or the number.
macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident($inner:ty) { $($konst:ident = $value:literal $text:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl $name {
            $(#[doc = concat!("`", $text, "`, ", stringify!($value), ".")] pub const $konst: Self = Self($value);)*

            /// The registry's name, if it is a number that has one here.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($text),)*
                    _ => None,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.name() {
                    Some(name) => f.pad(name),
                    None => fmt::Display::fmt(&self.0, f),
                }
            }
        }
    )*};
}

numbers! {
    /// IKEv2 Payload Types (RFC 7296 §3.2).
    PayloadType(u8) {
        NONE = 0 "None",
        SA = 33 "SA",
        KE = 34 "KE",
        ID_I = 35 "IDi",
        ID_R = 36 "IDr",
        CERT = 37 "CERT",
        CERTREQ = 38 "CERTREQ",
        AUTH = 39 "AUTH",
        NONCE = 40 "Nonce",
        NOTIFY = 41 "N",
        DELETE = 42 "D",
        VENDOR_ID = 43 "V",
        TS_I = 44 "TSi",
        TS_R = 45 "TSr",
        SK = 46 "SK",
        CP = 47 "CP",
        EAP = 48 "EAP",
        GSPM = 49 "GSPM",
        ID_G = 50 "IDg",
        GSA = 51 "GSA",
        KD = 52 "KD",
        SKF = 53 "SKF",
        PS = 54 "PS",
    }

    /// IKEv2 Exchange Types (RFC 7296 §3.1).
    ExchangeType(u8) {
        IKE_SA_INIT = 34 "IKE_SA_INIT",
        IKE_AUTH = 35 "IKE_AUTH",
        CREATE_CHILD_SA = 36 "CREATE_CHILD_SA",
        INFORMATIONAL = 37 "INFORMATIONAL",
        IKE_SESSION_RESUME = 38 "IKE_SESSION_RESUME",
        GSA_AUTH = 39 "GSA_AUTH",
        GSA_REGISTRATION = 40 "GSA_REGISTRATION",
        GSA_REKEY = 41 "GSA_REKEY",
        IKE_INTERMEDIATE = 43 "IKE_INTERMEDIATE",
        IKE_FOLLOWUP_KE = 44 "IKE_FOLLOWUP_KE",
    }

    /// IKEv2 Security Protocol Identifiers (RFC 7296 §3.3.1).
    ProtocolId(u8) {
        NONE = 0 "none",
        IKE = 1 "IKE",
        AH = 2 "AH",
        ESP = 3 "ESP",
    }

    /// Transform Types (RFC 7296 §3.3.2).
    TransformType(u8) {
        ENCRYPTION = 1 "ENCR",
        PRF = 2 "PRF",
        INTEGRITY = 3 "INTEG",
        KEY_EXCHANGE = 4 "KE",
        ESN = 5 "ESN",
        ADDITIONAL_KEY_EXCHANGE_1 = 6 "ADDKE1",
        ADDITIONAL_KEY_EXCHANGE_2 = 7 "ADDKE2",
        ADDITIONAL_KEY_EXCHANGE_3 = 8 "ADDKE3",
        ADDITIONAL_KEY_EXCHANGE_4 = 9 "ADDKE4",
        ADDITIONAL_KEY_EXCHANGE_5 = 10 "ADDKE5",
        ADDITIONAL_KEY_EXCHANGE_6 = 11 "ADDKE6",
        ADDITIONAL_KEY_EXCHANGE_7 = 12 "ADDKE7",
    }

    /// Encryption Algorithm Transform IDs (transform type 1).
    EncryptionAlgorithm(u16) {
        DES_IV64 = 1 "ENCR_DES_IV64",
        DES = 2 "ENCR_DES",
        TRIPLE_DES = 3 "ENCR_3DES",
        RC5 = 4 "ENCR_RC5",
        IDEA = 5 "ENCR_IDEA",
        CAST = 6 "ENCR_CAST",
        BLOWFISH = 7 "ENCR_BLOWFISH",
        TRIPLE_IDEA = 8 "ENCR_3IDEA",
        DES_IV32 = 9 "ENCR_DES_IV32",
        NULL = 11 "ENCR_NULL",
        AES_CBC = 12 "ENCR_AES_CBC",
        AES_CTR = 13 "ENCR_AES_CTR",
        AES_CCM_8 = 14 "ENCR_AES_CCM_8",
        AES_CCM_12 = 15 "ENCR_AES_CCM_12",
        AES_CCM_16 = 16 "ENCR_AES_CCM_16",
        AES_GCM_8 = 18 "ENCR_AES_GCM_8",
        AES_GCM_12 = 19 "ENCR_AES_GCM_12",
        AES_GCM_16 = 20 "ENCR_AES_GCM_16",
        NULL_AUTH_AES_GMAC = 21 "ENCR_NULL_AUTH_AES_GMAC",
        CAMELLIA_CBC = 23 "ENCR_CAMELLIA_CBC",
        CAMELLIA_CTR = 24 "ENCR_CAMELLIA_CTR",
        CAMELLIA_CCM_8 = 25 "ENCR_CAMELLIA_CCM_8",
        CAMELLIA_CCM_12 = 26 "ENCR_CAMELLIA_CCM_12",
        CAMELLIA_CCM_16 = 27 "ENCR_CAMELLIA_CCM_16",
        CHACHA20_POLY1305 = 28 "ENCR_CHACHA20_POLY1305",
        AES_CCM_8_IIV = 29 "ENCR_AES_CCM_8_IIV",
        AES_GCM_16_IIV = 30 "ENCR_AES_GCM_16_IIV",
        CHACHA20_POLY1305_IIV = 31 "ENCR_CHACHA20_POLY1305_IIV",
    }

    /// Pseudorandom Function Transform IDs (transform type 2).
    PrfAlgorithm(u16) {
        HMAC_MD5 = 1 "PRF_HMAC_MD5",
        HMAC_SHA1 = 2 "PRF_HMAC_SHA1",
        HMAC_TIGER = 3 "PRF_HMAC_TIGER",
        AES128_XCBC = 4 "PRF_AES128_XCBC",
        HMAC_SHA2_256 = 5 "PRF_HMAC_SHA2_256",
        HMAC_SHA2_384 = 6 "PRF_HMAC_SHA2_384",
        HMAC_SHA2_512 = 7 "PRF_HMAC_SHA2_512",
        AES128_CMAC = 8 "PRF_AES128_CMAC",
    }

    /// Integrity Algorithm Transform IDs (transform type 3).
    IntegrityAlgorithm(u16) {
        NONE = 0 "NONE",
        HMAC_MD5_96 = 1 "AUTH_HMAC_MD5_96",
        HMAC_SHA1_96 = 2 "AUTH_HMAC_SHA1_96",
        DES_MAC = 3 "AUTH_DES_MAC",
        KPDK_MD5 = 4 "AUTH_KPDK_MD5",
        AES_XCBC_96 = 5 "AUTH_AES_XCBC_96",
        HMAC_MD5_128 = 6 "AUTH_HMAC_MD5_128",
        HMAC_SHA1_160 = 7 "AUTH_HMAC_SHA1_160",
        AES_CMAC_96 = 8 "AUTH_AES_CMAC_96",
        AES_128_GMAC = 9 "AUTH_AES_128_GMAC",
        AES_192_GMAC = 10 "AUTH_AES_192_GMAC",
        AES_256_GMAC = 11 "AUTH_AES_256_GMAC",
        HMAC_SHA2_256_128 = 12 "AUTH_HMAC_SHA2_256_128",
        HMAC_SHA2_384_192 = 13 "AUTH_HMAC_SHA2_384_192",
        HMAC_SHA2_512_256 = 14 "AUTH_HMAC_SHA2_512_256",
    }

    /// Key Exchange Method Transform IDs (transform type 4), once called Diffie-Hellman groups.
    Group(u16) {
        NONE = 0 "NONE",
        MODP_768 = 1 "768-bit MODP Group",
        MODP_1024 = 2 "1024-bit MODP Group",
        MODP_1536 = 5 "1536-bit MODP Group",
        MODP_2048 = 14 "2048-bit MODP Group",
        MODP_3072 = 15 "3072-bit MODP Group",
        MODP_4096 = 16 "4096-bit MODP Group",
        MODP_6144 = 17 "6144-bit MODP Group",
        MODP_8192 = 18 "8192-bit MODP Group",
        ECP_256 = 19 "256-bit random ECP group",
        ECP_384 = 20 "384-bit random ECP group",
        ECP_521 = 21 "521-bit random ECP group",
        MODP_1024_160 = 22 "1024-bit MODP Group with 160-bit Prime Order Subgroup",
        MODP_2048_224 = 23 "2048-bit MODP Group with 224-bit Prime Order Subgroup",
        MODP_2048_256 = 24 "2048-bit MODP Group with 256-bit Prime Order Subgroup",
        ECP_192 = 25 "192-bit Random ECP Group",
        ECP_224 = 26 "224-bit Random ECP Group",
        BRAINPOOL_224 = 27 "brainpoolP224r1",
        BRAINPOOL_256 = 28 "brainpoolP256r1",
        BRAINPOOL_384 = 29 "brainpoolP384r1",
        BRAINPOOL_512 = 30 "brainpoolP512r1",
        CURVE25519 = 31 "Curve25519",
        CURVE448 = 32 "Curve448",
        ML_KEM_512 = 35 "ml-kem-512",
        ML_KEM_768 = 36 "ml-kem-768",
        ML_KEM_1024 = 37 "ml-kem-1024",
    }

    /// Extended Sequence Numbers Transform IDs (transform type 5).
    EsnId(u16) {
        NO = 0 "No Extended Sequence Numbers",
        YES = 1 "Extended Sequence Numbers",
    }

    /// Notify Message Types (RFC 7296 §3.10.1); below 16384 an error, from there a status.
    NotifyType(u16) {
        UNSUPPORTED_CRITICAL_PAYLOAD = 1 "UNSUPPORTED_CRITICAL_PAYLOAD",
        INVALID_IKE_SPI = 4 "INVALID_IKE_SPI",
        INVALID_MAJOR_VERSION = 5 "INVALID_MAJOR_VERSION",
        INVALID_SYNTAX = 7 "INVALID_SYNTAX",
        INVALID_MESSAGE_ID = 9 "INVALID_MESSAGE_ID",
        INVALID_SPI = 11 "INVALID_SPI",
        NO_PROPOSAL_CHOSEN = 14 "NO_PROPOSAL_CHOSEN",
        INVALID_KE_PAYLOAD = 17 "INVALID_KE_PAYLOAD",
        AUTHENTICATION_FAILED = 24 "AUTHENTICATION_FAILED",
        SINGLE_PAIR_REQUIRED = 34 "SINGLE_PAIR_REQUIRED",
        NO_ADDITIONAL_SAS = 35 "NO_ADDITIONAL_SAS",
        INTERNAL_ADDRESS_FAILURE = 36 "INTERNAL_ADDRESS_FAILURE",
        FAILED_CP_REQUIRED = 37 "FAILED_CP_REQUIRED",
        TS_UNACCEPTABLE = 38 "TS_UNACCEPTABLE",
        INVALID_SELECTORS = 39 "INVALID_SELECTORS",
        UNACCEPTABLE_ADDRESSES = 40 "UNACCEPTABLE_ADDRESSES",
        UNEXPECTED_NAT_DETECTED = 41 "UNEXPECTED_NAT_DETECTED",
        TEMPORARY_FAILURE = 43 "TEMPORARY_FAILURE",
        CHILD_SA_NOT_FOUND = 44 "CHILD_SA_NOT_FOUND",
        STATE_NOT_FOUND = 47 "STATE_NOT_FOUND",
        TS_MAX_QUEUE = 48 "TS_MAX_QUEUE",
        INITIAL_CONTACT = 16384 "INITIAL_CONTACT",
        SET_WINDOW_SIZE = 16385 "SET_WINDOW_SIZE",
        ADDITIONAL_TS_POSSIBLE = 16386 "ADDITIONAL_TS_POSSIBLE",
        IPCOMP_SUPPORTED = 16387 "IPCOMP_SUPPORTED",
        NAT_DETECTION_SOURCE_IP = 16388 "NAT_DETECTION_SOURCE_IP",
        NAT_DETECTION_DESTINATION_IP = 16389 "NAT_DETECTION_DESTINATION_IP",
        COOKIE = 16390 "COOKIE",
        USE_TRANSPORT_MODE = 16391 "USE_TRANSPORT_MODE",
        HTTP_CERT_LOOKUP_SUPPORTED = 16392 "HTTP_CERT_LOOKUP_SUPPORTED",
        REKEY_SA = 16393 "REKEY_SA",
        ESP_TFC_PADDING_NOT_SUPPORTED = 16394 "ESP_TFC_PADDING_NOT_SUPPORTED",
        NON_FIRST_FRAGMENTS_ALSO = 16395 "NON_FIRST_FRAGMENTS_ALSO",
        MOBIKE_SUPPORTED = 16396 "MOBIKE_SUPPORTED",
        AUTH_LIFETIME = 16403 "AUTH_LIFETIME",
        MULTIPLE_AUTH_SUPPORTED = 16404 "MULTIPLE_AUTH_SUPPORTED",
        REDIRECT_SUPPORTED = 16406 "REDIRECT_SUPPORTED",
        REDIRECT = 16407 "REDIRECT",
        TICKET_REQUEST = 16411 "TICKET_REQUEST",
        EAP_ONLY_AUTHENTICATION = 16417 "EAP_ONLY_AUTHENTICATION",
        CHILDLESS_IKEV2_SUPPORTED = 16418 "CHILDLESS_IKEV2_SUPPORTED",
        QUICK_CRASH_DETECTION = 16419 "QUICK_CRASH_DETECTION",
        IKEV2_MESSAGE_ID_SYNC_SUPPORTED = 16420 "IKEV2_MESSAGE_ID_SYNC_SUPPORTED",
        IKEV2_FRAGMENTATION_SUPPORTED = 16430 "IKEV2_FRAGMENTATION_SUPPORTED",
        SIGNATURE_HASH_ALGORITHMS = 16431 "SIGNATURE_HASH_ALGORITHMS",
        PUZZLE = 16434 "PUZZLE",
        USE_PPK = 16435 "USE_PPK",
        PPK_IDENTITY = 16436 "PPK_IDENTITY",
        NO_PPK_AUTH = 16437 "NO_PPK_AUTH",
        INTERMEDIATE_EXCHANGE_SUPPORTED = 16438 "INTERMEDIATE_EXCHANGE_SUPPORTED",
        ADDITIONAL_KEY_EXCHANGE = 16441 "ADDITIONAL_KEY_EXCHANGE",
    }

    /// IKEv2 Authentication Methods (RFC 7296 §3.8).
    AuthMethod(u8) {
        RSA_SIGNATURE = 1 "RSA Digital Signature",
        SHARED_KEY = 2 "Shared Key Message Integrity Code",
        DSS_SIGNATURE = 3 "DSS Digital Signature",
        ECDSA_P256 = 9 "ECDSA with SHA-256 on the P-256 curve",
        ECDSA_P384 = 10 "ECDSA with SHA-384 on the P-384 curve",
        ECDSA_P521 = 11 "ECDSA with SHA-512 on the P-521 curve",
        NULL = 13 "NULL Authentication",
        DIGITAL_SIGNATURE = 14 "Digital Signature",
    }

    /// IKEv2 Identification Payload ID Types (RFC 7296 §3.5).
    IdType(u8) {
        IPV4_ADDR = 1 "ID_IPV4_ADDR",
        FQDN = 2 "ID_FQDN",
        RFC822_ADDR = 3 "ID_RFC822_ADDR",
        IPV6_ADDR = 5 "ID_IPV6_ADDR",
        DER_ASN1_DN = 9 "ID_DER_ASN1_DN",
        DER_ASN1_GN = 10 "ID_DER_ASN1_GN",
        KEY_ID = 11 "ID_KEY_ID",
        NULL = 13 "ID_NULL",
    }

    /// IKEv2 Traffic Selector Types (RFC 7296 §3.13.1).
    TsType(u8) {
        IPV4_ADDR_RANGE = 7 "TS_IPV4_ADDR_RANGE",
        IPV6_ADDR_RANGE = 8 "TS_IPV6_ADDR_RANGE",
        FC_ADDR_RANGE = 9 "TS_FC_ADDR_RANGE",
        SECLABEL = 10 "TS_SECLABEL",
    }

    /// IKEv2 Certificate Encodings (RFC 7296 §3.6).
    CertEncoding(u8) {
        PKCS7 = 1 "PKCS #7 wrapped X.509 certificate",
        X509_SIGNATURE = 4 "X.509 Certificate - Signature",
        CRL = 7 "Certificate Revocation List (CRL)",
        HASH_AND_URL = 12 "Hash and URL of X.509 certificate",
        HASH_AND_URL_BUNDLE = 13 "Hash and URL of X.509 bundle",
        OCSP = 14 "OCSP Content",
        RAW_PUBLIC_KEY = 15 "Raw Public Key",
    }

    /// IKEv2 Configuration Payload CFG Types (RFC 7296 §3.15).
    CfgType(u8) {
        REQUEST = 1 "CFG_REQUEST",
        REPLY = 2 "CFG_REPLY",
        SET = 3 "CFG_SET",
        ACK = 4 "CFG_ACK",
    }

    /// IKEv2 Hash Algorithms of digital signatures (RFC 7427 §7).
    HashAlgorithm(u16) {
        SHA1 = 1 "SHA1",
        SHA2_256 = 2 "SHA2-256",
        SHA2_384 = 3 "SHA2-384",
        SHA2_512 = 4 "SHA2-512",
        IDENTITY = 5 "Identity",
    }
}

impl NotifyType {
    /// An error; a type that has no name here is one too, and fails the request (RFC 7296 §3.10.1).
    pub const fn is_error(self) -> bool {
        self.0 < Self::INITIAL_CONTACT.0
    }
}

impl TransformType {
    /// A further key exchange of RFC 9370.
    pub const fn is_additional_key_exchange(self) -> bool {
        self.0 >= Self::ADDITIONAL_KEY_EXCHANGE_1.0 && self.0 <= Self::ADDITIONAL_KEY_EXCHANGE_7.0
    }
}
