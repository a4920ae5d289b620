/*
 * chars.c - what each byte may be in a message.
 */
#include "http/msg/chars.h"

#define TGT	CH_TARGET
#define PCT	(CH_TARGET | CH_TOKEN)				/* % */
#define PTH	(CH_TARGET | CH_PATH)				/* : @ [ ] and the like */
#define TOK	(PTH | CH_TOKEN)				/* ^ ` | */
#define SUB	(PTH | CH_HOST)					/* ( ) , ; = */
#define HTK	(SUB | CH_TOKEN)				/* ! $ & ' * + _ ~ */
#define DOT	TOK
#define DSH	(HTK | CH_NAME)
#define DIG	(DSH | CH_DIGIT | CH_HEX)
#define LOW	DSH
#define LHX	(LOW | CH_HEX)
#define UPP	(DSH | CH_UPPER)
#define UHX	(UPP | CH_HEX)
#define EIGHT	PTH, PTH, PTH, PTH, PTH, PTH, PTH, PTH

const uint8_t http_chars[256] = {
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	/* sp   !    "    #    $    %    &    ' */
	0,     HTK, PTH, CH_TOKEN, HTK, PCT, HTK, HTK,
	/* (    )    *    +    ,    -    .    / */
	SUB,   SUB, HTK, HTK, SUB, DSH, DOT, TGT,
	/* 0 ... */
	DIG,   DIG, DIG, DIG, DIG, DIG, DIG, DIG,
	/* 8    9    :    ;    <    =    >    ? */
	DIG,   DIG, PTH, SUB, PTH, SUB, PTH, TGT,
	/* @    A ... */
	PTH,   UHX, UHX, UHX, UHX, UHX, UHX, UPP,
	UPP,   UPP, UPP, UPP, UPP, UPP, UPP, UPP,
	UPP,   UPP, UPP, UPP, UPP, UPP, UPP, UPP,
	/* X    Y    Z    [    \    ]    ^    _ */
	UPP,   UPP, UPP, PTH, PTH, PTH, TOK, HTK,
	/* `    a ... */
	TOK,   LHX, LHX, LHX, LHX, LHX, LHX, LOW,
	LOW,   LOW, LOW, LOW, LOW, LOW, LOW, LOW,
	LOW,   LOW, LOW, LOW, LOW, LOW, LOW, LOW,
	/* x    y    z    {    |    }    ~   del */
	LOW,   LOW, LOW, PTH, TOK, PTH, HTK, 0,
	EIGHT, EIGHT, EIGHT, EIGHT, EIGHT, EIGHT, EIGHT, EIGHT,
	EIGHT, EIGHT, EIGHT, EIGHT, EIGHT, EIGHT, EIGHT, EIGHT,
};
